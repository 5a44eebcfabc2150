import { verifyPipeline } from '@leakage/cli/verify';

/** A wrong result has no speed. */
export async function mustBeRight(
  { databaseUrl }: { readonly databaseUrl: string },
  generation?: number,
): Promise<void> {
  const report = await verifyPipeline({ databaseUrl, ...(generation === undefined ? {} : { generation }) });
  const wrong = report.checks.filter(({ differences }) => differences > 0);
  if (wrong.length > 0) throw new Error(`the result is wrong: ${wrong.map(({ name }) => name).join(', ')}`);
}
