import { verifyPipeline } from '@leakage/cli/verify';

/** A wrong result has no speed. */
export async function mustBeRight({ databaseUrl }: { readonly databaseUrl: string }): Promise<void> {
  const report = await verifyPipeline({ databaseUrl });
  const wrong = report.checks.filter(({ differences }) => differences > 0);
  if (wrong.length > 0) throw new Error(`the result is wrong: ${wrong.map(({ name }) => name).join(', ')}`);
}
