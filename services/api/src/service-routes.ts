import type { HealthState, Metrics } from '@leakage/runtime';
import type { FastifyInstance } from 'fastify';

/** The same answers as on METRICS_PORT, for whoever can reach the api only; and how long requests take. */
export function serviceRoutes(
  app: FastifyInstance,
  { health, metrics }: { health: HealthState; metrics: Metrics },
): void {
  const seconds = metrics.histogram({
    name: 'leakage_api_request_seconds',
    help: 'Time from a request to the end of its answer.',
    labels: ['route', 'status'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
  });
  app.addHook('onResponse', (request, reply, done) => {
    // The route's pattern, never the path: it may name a member.
    seconds.observe({ route: request.routeOptions.url ?? 'none', status: reply.statusCode }, reply.elapsedTime / 1000);
    done();
  });

  const plain = { schema: { hide: true } };
  app.get('/', plain, async (_request, reply) => reply.redirect('/docs'));
  app.get('/openapi.json', plain, async () => app.swagger());
  app.get('/livez', plain, async (_request, reply) =>
    reply.code(health.failure === null ? 200 : 503).send({ alive: health.failure === null, failure: health.failure }),
  );
  app.get('/readyz', plain, async (_request, reply) =>
    reply.code(health.ready ? 200 : 503).send({ ready: health.ready, checks: health.checks() }),
  );
  app.get('/metrics', plain, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}
