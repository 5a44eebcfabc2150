/** What a person reads when a file of the generator could not be written; what was published goes on from the last state. */
export function unwritten(path: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(
    `${path} could not be written (${reason}): make room for it, or let this user write there, and start the generator again; it goes on where it stopped`,
    { cause: error },
  );
}
