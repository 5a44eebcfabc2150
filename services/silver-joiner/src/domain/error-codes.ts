/** The codes that each built-in journey is known to give; others are kept and flagged (rule D4). */
const KNOWN_CODES: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  [
    'billing',
    new Set([
      'ERR_BILLING_ELIGIBILITY',
      'ERR_BILLING_PAYMENT_METHOD',
      'ERR_BILLING_TIMEOUT',
      'ERR_BILLING_SERVER',
      'ERR_BILLING_GENERAL',
    ]),
  ],
  ['id_card', new Set(['ERR_IDCARD_DOWNLOAD', 'ERR_IDCARD_FORMAT', 'ERR_IDCARD_TIMEOUT', 'ERR_IDCARD_ACCESS'])],
  [
    'pharmacy',
    new Set([
      'ERR_RX_NOT_FOUND',
      'ERR_RX_REFILL_INELIGIBLE',
      'ERR_RX_NETWORK',
      'ERR_RX_PRIOR_AUTH',
      'ERR_PHARMACY_REFILL',
    ]),
  ],
]);

/** A journey type that is not built in has no list, so none of its codes is unknown. */
export function isKnownCode(journeyType: string, code: string): boolean {
  return KNOWN_CODES.get(journeyType)?.has(code) ?? true;
}
