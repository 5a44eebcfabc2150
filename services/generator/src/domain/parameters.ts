/** The numbers of the simulated world at scale 1 (12,000 leakage calls a day). Rates are free of scale. */

export type JourneyType = 'billing' | 'id_card' | 'pharmacy';
export type Category = 'MAPD New' | 'MAPD Tenured' | 'Commercial';
export type Language = 'English' | 'Spanish' | 'Other';
export type Issue = 'eligibility' | 'other_billing' | 'id_card' | 'pharmacy';
type Weights<T> = readonly (readonly [T, number])[];

/** Raised with every change of what a seed produces. */
export const GENERATOR_VERSION = 1;

export const FULL_SCALE_CALLS = 12_000;

export const JOURNEY_TYPES: readonly JourneyType[] = ['billing', 'id_card', 'pharmacy'];
export const CATEGORIES: readonly Category[] = ['MAPD New', 'MAPD Tenured', 'Commercial'];
export const LANGUAGES: readonly Language[] = ['English', 'Spanish', 'Other'];
export const ISSUES: readonly Issue[] = ['eligibility', 'other_billing', 'id_card', 'pharmacy'];

export const CATEGORY_SHARE: Readonly<Record<Category, number>> = {
  'MAPD New': 0.35,
  'MAPD Tenured': 0.3,
  Commercial: 0.35,
};
/** Commercial members are half new, half tenured. */
export const SPANISH_SHARE = { new: 0.25, tenured: 0.145 } as const;
export const OTHER_LANGUAGE_SHARE = 0.03;

/** Monday to Sunday, mean 1. */
export const WEEKDAY_FACTOR = [1.25, 1.12, 1.08, 1.05, 1.02, 0.82, 0.66] as const;
/** Per cent of a day in each local hour. */
export const HOUR_PERCENT = [0, 0, 0, 0, 0, 0, 2, 4, 7, 9, 11, 11, 9, 8, 10, 9, 7, 5, 4, 2, 1, 1, 0, 0] as const;
export const DAY_CV = 0.03;
export const HOUR_CV = 0.05;

/** Journeys of each type a day, decided or not. */
export const JOURNEYS_PER_DAY: Readonly<Record<JourneyType, number>> = {
  billing: 52_267,
  id_card: 50_000,
  pharmacy: 80_000,
};

export interface IssueParameters {
  journeyType: JourneyType;
  /** Letter in session and call ids. */
  letter: string;
  /** Leaked share of the failed journeys. */
  leakRate: number;
  codes: Weights<string>;
  devices: Weights<string>;
  /** Share of failures that show no error, only an abandon. */
  abandonOnly: number;
  /** Share of failures with both; the rest has the error alone. */
  errorAndAbandon: number;
  handleSeconds: Readonly<Record<Category, number>>;
  sentiment: Readonly<Record<Category, number>>;
  resolution: Weights<string>;
  reasons: Weights<string>;
  ivrToken: string;
}

const billing = {
  journeyType: 'billing',
  letter: 'B',
  handleSeconds: { 'MAPD New': 1080, 'MAPD Tenured': 840, Commercial: 840 },
  sentiment: { 'MAPD New': -0.65, 'MAPD Tenured': -0.4, Commercial: -0.3 },
  resolution: [
    ['resolved', 60],
    ['escalated', 25],
    ['pending', 15],
  ],
  reasons: [
    ['billing_question', 40],
    ['plan_eligibility', 25],
    ['payment_issue', 15],
    ['billing_dispute', 10],
    ['premium_question', 6],
    ['autopay_issue', 4],
  ],
  ivrToken: 'billing',
} as const;

export const ISSUE_PARAMETERS: Readonly<Record<Issue, IssueParameters>> = {
  eligibility: {
    ...billing,
    leakRate: 0.45,
    codes: [['ERR_BILLING_ELIGIBILITY', 1]],
    devices: [
      ['mobile', 82],
      ['desktop', 12],
      ['tablet', 6],
    ],
    abandonOnly: 0,
    errorAndAbandon: 0.5,
  },
  other_billing: {
    ...billing,
    leakRate: 0.25,
    codes: [
      ['ERR_BILLING_PAYMENT_METHOD', 50],
      ['ERR_BILLING_TIMEOUT', 30],
      ['ERR_BILLING_SERVER', 20],
    ],
    devices: [
      ['mobile', 72.9],
      ['desktop', 20],
      ['tablet', 7.1],
    ],
    abandonOnly: 0.25,
    errorAndAbandon: 0.375,
  },
  id_card: {
    journeyType: 'id_card',
    letter: 'I',
    leakRate: 0.3,
    codes: [
      ['ERR_IDCARD_DOWNLOAD', 60],
      ['ERR_IDCARD_TIMEOUT', 18],
      ['ERR_IDCARD_FORMAT', 12],
      ['ERR_IDCARD_ACCESS', 10],
    ],
    devices: [
      ['mobile', 50],
      ['desktop', 35],
      ['tablet', 15],
    ],
    abandonOnly: 0.25,
    errorAndAbandon: 0.375,
    handleSeconds: { 'MAPD New': 540, 'MAPD Tenured': 540, Commercial: 540 },
    sentiment: { 'MAPD New': -0.15, 'MAPD Tenured': -0.15, Commercial: -0.15 },
    resolution: [
      ['resolved', 80],
      ['escalated', 15],
      ['pending', 5],
    ],
    reasons: [
      ['id_card_request', 60],
      ['id_card_replacement', 25],
      ['member_id_lookup', 15],
    ],
    ivrToken: 'id_card',
  },
  pharmacy: {
    journeyType: 'pharmacy',
    letter: 'P',
    leakRate: 0.25,
    codes: [
      ['ERR_RX_PRIOR_AUTH', 35],
      ['ERR_RX_NOT_FOUND', 25],
      ['ERR_RX_REFILL_INELIGIBLE', 25],
      ['ERR_RX_NETWORK', 15],
    ],
    devices: [
      ['mobile', 45],
      ['desktop', 40],
      ['tablet', 15],
    ],
    abandonOnly: 0.25,
    errorAndAbandon: 0.375,
    handleSeconds: { 'MAPD New': 900, 'MAPD Tenured': 900, Commercial: 900 },
    sentiment: { 'MAPD New': -0.05, 'MAPD Tenured': -0.05, Commercial: -0.05 },
    resolution: [
      ['resolved', 35],
      ['escalated', 55],
      ['pending', 10],
    ],
    reasons: [
      ['pharmacy_refill', 45],
      ['pharmacy_prior_auth', 30],
      ['rx_coverage', 15],
      ['pharmacy_network', 10],
    ],
    ivrToken: 'pharmacy',
  },
};

export const ERROR_MESSAGES: Readonly<Record<string, string>> = {
  ERR_BILLING_ELIGIBILITY: 'Your plan is not eligible for this option',
  ERR_BILLING_PAYMENT_METHOD: 'Payment method not accepted',
  ERR_BILLING_TIMEOUT: 'Session timeout',
  ERR_BILLING_SERVER: 'Server error occurred',
  ERR_IDCARD_DOWNLOAD: 'Download failed - try again',
  ERR_IDCARD_FORMAT: 'File format not supported',
  ERR_IDCARD_ACCESS: 'Access denied',
  ERR_IDCARD_TIMEOUT: 'Network timeout',
  ERR_RX_NOT_FOUND: 'Prescription not found',
  ERR_RX_REFILL_INELIGIBLE: 'Refill not eligible',
  ERR_RX_NETWORK: 'Pharmacy not in network',
  ERR_RX_PRIOR_AUTH: 'Prior authorization required',
};

/** How callers of an aligned call say why they call. */
export const REASON_GIVEN: Weights<'explicit' | 'ivr_only' | 'generic'> = [
  ['explicit', 93],
  ['ivr_only', 5],
  ['generic', 2],
];
export const GENERIC_REASON = 'app_technical_support';

/** Calls about something else, and about the three journeys without a failure before them. */
export const OTHER_CALLS_PER_DAY = 18_000;
export const OTHER_CALL_TOPICS: Weights<Issue | 'elsewhere'> = [
  ['elsewhere', 60],
  ['other_billing', 15],
  ['id_card', 10],
  ['pharmacy', 15],
];
export const ELSEWHERE_REASONS: readonly { reason: string; token: string; weight: number }[] = [
  { reason: 'claims_status', token: 'claims', weight: 30 },
  { reason: 'benefits_question', token: 'benefits', weight: 30 },
  { reason: 'provider_search', token: 'provider', weight: 15 },
  { reason: 'enrollment', token: 'enrollment', weight: 10 },
  { reason: 'prior_auth', token: 'authorization', weight: 15 },
];
export const OTHER_CALL = {
  handleSeconds: 600,
  sentiment: 0.15,
  resolution: [
    ['resolved', 85],
    ['escalated', 10],
    ['pending', 5],
  ],
} as const;
export const HANDLE_SIGMA = 0.4724;
export const SENTIMENT_NU = 8;
export const AGENTS = 400;

/** Versions of the app that people have on their phones: most follow, some never do. */
export const APP_VERSIONS: readonly (readonly [string, number])[] = [
  ['7.14.2', 46],
  ['7.14.1', 22],
  ['7.13.0', 17],
  ['7.9.4', 9],
  ['6.30.1', 6],
];

/** Minutes from the failure to the call: lognormal, cut at the window. */
export const TIME_TO_CALL = { medianMinutes: 10, sigma: 0.6, maxMinutes: 30 } as const;

/** Shares of all failed journeys. */
export const AFTER_FAILURE = {
  unalignedCall: 0.04,
  lateAlignedCall: 0.03,
  completedLater: 0.04,
  curedCall: 0.01,
  otherSession: 0.01,
} as const;
/** Shares of the leakage calls. */
export const FOLLOW_ON_SHARE = 0.02;
export const CALL_BEFORE_FAILURE_SHARE = 0.005;

export const UNDECIDED_SHARE = 0.02;
export const TWO_JOURNEYS_SHARE = 0.03;

/** Share of an induced second call that comes after another failed journey. */
export const REPEAT_AFTER_FAILURE = 0.3;
export const REPEAT_DELAY = { meanDays: 2, maxDays: 7 } as const;
export const REPEAT_DEPTH_MAX = 2;
/** Share of leakage calls that are repeats, as it should come out. */
export const REPEAT_TARGET = {
  billing: { 'MAPD New': 0.28, 'MAPD Tenured': 0.18, Commercial: 0.15 },
  id_card: 0.25,
  pharmacy: 0.17,
} as const;

export const ENROLLMENTS_PER_DAY = 400;
export const LATE_PROFILE_SHARE = 0.2;
export const PROFILE_CHANGES_PER_MEMBER_DAY = 0.0005;

/** Events of a failed and of a completed journey, on average: login .3, page views, and what decides. */
export const EVENTS_PER_FAILED = 2.9;
export const EVENTS_PER_COMPLETED = 2.8;

export interface Preset {
  members: number;
  /** Digital events a day. */
  events: number;
  /** Leakage calls a day. */
  calls: number;
}

export const PRESETS = {
  full: { members: 400_000, events: 514_000, calls: 12_000 },
  standard: { members: 40_000, events: 51_400, calls: 1_200 },
  small: { members: 10_000, events: 12_850, calls: 300 },
  parity: { members: 10_000, events: 50_000, calls: 12_000 },
} as const satisfies Record<string, Preset>;
export type PresetName = keyof typeof PRESETS;
