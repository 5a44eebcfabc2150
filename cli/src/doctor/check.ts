export interface Check {
  readonly name: string;
  /** note: works, but you should know. */
  readonly state: 'ok' | 'note' | 'no';
  readonly found: string;
  readonly remedy: string | null;
}

export const ok = (name: string, found: string): Check => ({ name, state: 'ok', found, remedy: null });
export const note = (name: string, found: string, remedy: string): Check => ({ name, state: 'note', found, remedy });
export const no = (name: string, found: string, remedy: string): Check => ({ name, state: 'no', found, remedy });
