import type pg from 'pg';

/** Rows for one COPY, as a CopyEncoder's `finish` gave them. */
export interface CopySource {
  table: string;
  columns: readonly string[];
  data: readonly Buffer[];
}

interface Wire {
  query(text: string): void;
  stream: { write(data: Buffer): boolean; cork(): void; uncork(): void; writable: boolean };
}

const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);

/**
 * COPY ... FROM STDIN BINARY as one message of pg's protocol (a Submittable). All data is written right behind the
 * statement, without waiting for the server to ask: when the statement fails, the server drops what follows. Nothing is
 * copied: each chunk is written as it is behind a header of five bytes. What can pile up in the socket is the batch
 * itself, which is in memory anyway (law 10). The chunks must not change until the answer has come.
 */
export class CopyIn {
  readonly #sources: readonly CopySource[];
  readonly #counts: number[] = [];
  #settled = false;
  readonly #settle: (error: Error | null, counts: number[]) => void;
  /** pg wraps this to enforce query_timeout. */
  callback: (error: Error | null) => void;

  private constructor(sources: readonly CopySource[], settle: (error: Error | null, counts: number[]) => void) {
    this.#sources = sources;
    this.#settle = settle;
    this.callback = (error) => {
      if (this.#settled) return;
      this.#settled = true;
      this.#settle(error, this.#counts);
    };
  }

  static run(client: pg.ClientBase, sources: readonly CopySource[]): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null, counts: number[]) => (error === null ? resolve(counts) : reject(error));
      client.query(new CopyIn(sources, settle) as unknown as pg.Submittable);
    });
  }

  submit(wire: Wire): Error | null {
    if (!wire.stream.writable) return new Error('the connection to Postgres is not writable');
    wire.stream.cork();
    try {
      wire.query(this.#sources.map(copyStatement).join('; '));
      for (const source of this.#sources) {
        for (const chunk of source.data) {
          const header = Buffer.allocUnsafe(5);
          header[0] = 0x64;
          header.writeInt32BE(chunk.length + 4, 1);
          wire.stream.write(header);
          wire.stream.write(chunk);
        }
        wire.stream.write(COPY_DONE);
      }
    } finally {
      wire.stream.uncork();
    }
    return null;
  }

  handleCopyInResponse(): void {
    // The data is on its way already.
  }

  handleCommandComplete(message: { text: string }): void {
    this.#counts.push(Number(message.text.slice('COPY '.length)));
  }

  handleReadyForQuery(): void {
    this.callback(null);
  }

  handleError(error: Error): void {
    this.callback(error);
  }
}

function copyStatement(source: CopySource): string {
  return `copy ${source.table} (${source.columns.map(quote).join(', ')}) from stdin (format binary)`;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
