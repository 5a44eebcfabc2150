import { InvalidArgumentError } from 'commander';

/** Reads an argument or an option of a command that is a whole number. */
export function wholeNumber(from: number, to: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= from && value <= to) return value;
    const upTo = to === Number.MAX_SAFE_INTEGER ? '' : ` to ${to}`;
    throw new InvalidArgumentError(`a whole number from ${from}${upTo} is wanted`);
  };
}

/** Reads the number of a generation, which Postgres keeps as an int4. */
export const generationNumber = wholeNumber(1, 2_147_483_647);
