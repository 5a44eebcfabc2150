import { InvalidArgumentError } from 'commander';

/** Reads an argument or an option of a command that is a whole number. */
export function wholeNumber(from: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= from) return value;
    throw new InvalidArgumentError(`a whole number from ${from} is wanted`);
  };
}
