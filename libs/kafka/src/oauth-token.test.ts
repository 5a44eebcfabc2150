import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RefusedError } from '@leakage/runtime';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TokenEndpointError, tokenSource } from './oauth-token.ts';

let server: Server;
let url: string;
let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
let asked: number;

beforeEach(async () => {
  asked = 0;
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      asked += 1;
      answer(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
});
afterEach(() => new Promise((resolve) => server.close(resolve)));

const json =
  (status: number, content: object) =>
  (_: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
  };
const request = () => ({ url, clientId: 'a:b', clientSecret: 'ü c' });

test('the client says who it is as RFC 6749 wants it', async () => {
  answer = (incoming, response, body) => {
    const [, basic = ''] = incoming.headers.authorization?.split(' ') ?? [];
    const said = `${incoming.method} ${Buffer.from(basic, 'base64').toString()} ${body}`;
    json(200, { access_token: Buffer.from(said).toString('base64url') })(incoming, response);
  };
  const token = await tokenSource({ ...request(), scope: 'read write' })();
  expect(Buffer.from(token, 'base64url').toString()).toBe(
    'POST a%3Ab:%C3%BC+c grant_type=client_credentials&scope=read+write',
  );
});

test('a token is kept until a minute before its end, a short one for half its life, a very short one not at all', async () => {
  let now = 0;
  const lives = [0, 600, 80, 20];
  answer = (...all) => json(200, { access_token: `t${asked}`, expires_in: lives[asked] })(all[0], all[1]);
  const token = tokenSource(request(), () => now);
  expect(await Promise.all([token(), token(), token()])).toEqual(['t1', 't1', 't1']);
  now = 539_999;
  expect(await token()).toBe('t1');
  now = 540_000;
  expect(await token()).toBe('t2');
  now += 39_999;
  expect(await token()).toBe('t2');
  now += 1;
  expect(await Promise.all([token(), token()])).toEqual(['t3', 't3']);
  expect(await token()).toBe('t4');
  expect(asked).toBe(4);
});

test.each([
  [401, { error: 'invalid_client' }, /refuses client a:b \(status 401, invalid_client\): check KAFKA_OAUTH_CLIENT_ID/],
  [
    400,
    { error: 'invalid_scope', error_description: 'no' },
    /\(status 400, invalid_scope, no\): check KAFKA_OAUTH_SCOPE$/,
  ],
  [404, {}, /\(status 404\): check KAFKA_OAUTH_TOKEN_URL$/],
  [200, { hello: 'world' }, /answers without an access_token: set KAFKA_OAUTH_TOKEN_URL/],
  [200, { access_token: 'two words' }, /without an access_token/],
])('status %i with %j is refused', async (status, content, sentence) => {
  answer = json(status, content);
  const asking = tokenSource(request())();
  await expect(asking).rejects.toThrow(RefusedError);
  await expect(asking).rejects.toThrow(sentence);
});

test.each([503, 429, 408])('status %i may be another one soon', async (status) => {
  answer = json(status, {});
  const token = tokenSource(request());
  await expect(token()).rejects.toThrow(TokenEndpointError);
  answer = json(200, { access_token: 'now' });
  expect(await token()).toBe('now');
});

test('an endpoint that does not answer may do so soon; a redirection is followed with no secret', async () => {
  answer = (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end();
  await expect(tokenSource(request())()).rejects.toThrow(
    /does not answer \(.*redirect.*\): check KAFKA_OAUTH_TOKEN_URL/,
  );
  await expect(tokenSource({ ...request(), url: 'http://127.0.0.1:9/' })()).rejects.toThrow(TokenEndpointError);
});
