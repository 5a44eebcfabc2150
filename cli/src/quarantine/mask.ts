import { contracts, type Source } from '@leakage/schemas';

/** Fields that name a person, or may hold what a person has said. */
const personal: ReadonlySet<string> = new Set(['member_id', 'agent_id', 'error_message']);

/** An id cut to its last three characters. */
export function maskedId(id: string): string {
  return `***${id.slice(-3)}`;
}

/**
 * A value for eyes that need not see who it is about: ids of people are cut, free texts and what the contract does not know are
 * only described.
 */
export function masked(source: Source, field: string, value: unknown): unknown {
  const known = contracts[source].fields.some(({ name }) => name === field);
  if (known && !personal.has(field) && typeof value !== 'object') return value;
  if (value === null || value === undefined) return value;
  if (field === 'member_id' || field === 'agent_id') return typeof value === 'string' ? maskedId(value) : kindOf(value);
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return `(text of ${value.length} characters)`;
  if (Array.isArray(value)) return '(a list)';
  return typeof value === 'object' ? '(an object)' : `(a ${typeof value})`;
}
