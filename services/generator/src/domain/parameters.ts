/** The numbers of the simulated world at scale 1 (12,000 leakage calls a day). Rates are free of scale. */

export type JourneyType = 'billing' | 'id_card' | 'pharmacy';
export type Category = 'MAPD New' | 'MAPD Tenured' | 'Commercial';
export type Language = 'English' | 'Spanish' | 'Other';
export type Issue = 'eligibility' | 'other_billing' | 'id_card' | 'pharmacy';
/** Values with weights; what they add up to does not matter. */
export type Weights<T> = readonly (readonly [T, number])[];

/** Raised with every change of what a seed produces. */
export const GENERATOR_VERSION = 2;

export const JOURNEY_TYPES: readonly JourneyType[] = ['billing', 'id_card', 'pharmacy'];
export const CATEGORIES: readonly Category[] = ['MAPD New', 'MAPD Tenured', 'Commercial'];
export const LANGUAGES: readonly Language[] = ['English', 'Spanish', 'Other'];
export const ISSUES: readonly Issue[] = ['eligibility', 'other_billing', 'id_card', 'pharmacy'];

/** One kind of failure: how often, with whom, and what the calls about it are like. */
export interface IssueParameters {
  journeyType: JourneyType;
  /** Letter in session and call ids. */
  letter: string;
  /** Leakage calls a day, mean of the last seven days up to the anchor. */
  leaksPerDay: number;
  /** Who makes these calls; null: anybody, as there are members. */
  categories: Weights<Category> | null;
  /** Leaked share of the failed journeys. */
  leakRate: number;
  codes: Weights<string>;
  devices: Weights<string>;
  /** Share of failures that show no error, only an abandon. */
  abandonOnly: number;
  /** Share of failures with both; the rest has the error alone. */
  errorAndAbandon: number;
  handleSeconds: Readonly<Record<Category, number>>;
  /** Mean, -1 to 1. */
  sentiment: Readonly<Record<Category, number>>;
  resolution: Weights<string>;
  reasons: Weights<string>;
  ivrToken: string;
}

/** What is different in some cells; a field that is absent is any. It moves no other cell, and no target is solved for again. */
export interface CellOverride {
  issue?: Issue;
  category?: Category;
  language?: Language;
  /** Times as many failed journeys and leakage calls. */
  failures?: number;
  /** Times the probability that a call induces another. */
  repeats?: number;
  leakRate?: number;
  codes?: Weights<string>;
  devices?: Weights<string>;
  handleSeconds?: number;
  sentiment?: number;
  resolution?: Weights<string>;
  reasons?: Weights<string>;
}

export interface Parameters {
  members: {
    categories: Weights<Category>;
    /** Part of Commercial that is new. */
    commercialNew: number;
    spanish: { new: number; tenured: number };
    otherLanguage: number;
    /** New members a day among the members of the preset full. */
    enrollmentsPerDay: number;
    /** Part of the new members whose profile arrives after the first thing they did. */
    lateProfiles: number;
    /** Profile changes a member and day. */
    changesPerDay: number;
  };
  time: {
    /** Monday to Sunday, mean 1. */
    weekdays: readonly number[];
    /** Per cent of a day in each local hour. */
    hours: readonly number[];
    /** Coefficients of variation of days and hours beyond Poisson. */
    dayCv: number;
    hourCv: number;
  };
  /** Growth up to the anchor: mean of the last seven days against the seven before, minus 1. */
  trends: {
    billing: number;
    id_card: number;
    pharmacy: number;
    /** First day of the eligibility failures' step, in days from the anchor (-13: the last fourteen days). */
    onset: number;
    /** Eligibility calls a day before the step. */
    eligibilityBefore: number;
    /** Days that growth goes on after the anchor. */
    growthDays: number;
  };
  journeys: {
    /** Journeys a day; only their proportions matter, because the number of events is the preset's. */
    perDay: Readonly<Record<JourneyType, number>>;
    /** Part of the journeys that end without anything that decides. */
    undecided: number;
    /** Part of the sessions that hold a second journey. */
    twoTypes: number;
    login: number;
    secondView: { failed: number; other: number };
    /** Versions of the app that people have on their phones. */
    appVersions: Weights<string>;
  };
  issues: Readonly<Record<Issue, IssueParameters>>;
  /** Part of the id card calls that Spanish speakers make, which alone grows; null: as there are members. */
  idCardSpanish: number | null;
  calls: {
    /** Minutes from the failure to the call: lognormal, cut at the window. */
    timeToCall: { medianMinutes: number; sigma: number; maxMinutes: number };
    /** How callers of an aligned call say why they call. */
    reasonGiven: Weights<'explicit' | 'ivr_only' | 'generic'>;
    genericReason: string;
    /** Of the logarithm of the handle time; .4724 is a coefficient of variation of 0.5. */
    handleSigma: number;
    sentimentNu: number;
    /** Agents at scale 1. */
    agents: number;
    /** Shares of the leakage calls. */
    followOn: number;
    beforeFailure: number;
  };
  /** Shares of all failed journeys: what may follow instead of a leakage call. */
  afterFailure: {
    unalignedCall: number;
    lateAlignedCall: number;
    completedLater: number;
    curedCall: number;
    otherSession: number;
  };
  repeats: {
    /** Share of leakage calls that are repeats, as it should come out. */
    targets: { billing: Readonly<Record<Category, number>>; id_card: number; pharmacy: number };
    /** Part of the induced calls that comes after another failed journey. */
    afterFailure: number;
    meanDays: number;
    maxDays: number;
    /** An induced call may induce another, this often at most. */
    depth: number;
  };
  /** Calls about something else, and about the three journeys without a failure before them. */
  otherCalls: {
    /** At scale 1. */
    perDay: number;
    topics: Weights<Issue | 'elsewhere'>;
    elsewhere: readonly { reason: string; token: string; weight: number }[];
    handleSeconds: number;
    sentiment: number;
    resolution: Weights<string>;
  };
  cells: readonly CellOverride[];
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

export const DEFAULT_PARAMETERS: Parameters = {
  members: {
    categories: [
      ['MAPD New', 0.35],
      ['MAPD Tenured', 0.3],
      ['Commercial', 0.35],
    ],
    commercialNew: 0.5,
    spanish: { new: 0.25, tenured: 0.145 },
    otherLanguage: 0.03,
    enrollmentsPerDay: 400,
    lateProfiles: 0.2,
    changesPerDay: 0.0005,
  },
  time: {
    weekdays: [1.25, 1.12, 1.08, 1.05, 1.02, 0.82, 0.66],
    hours: [0, 0, 0, 0, 0, 0, 2, 4, 7, 9, 11, 11, 9, 8, 10, 9, 7, 5, 4, 2, 1, 1, 0, 0],
    dayCv: 0.03,
    hourCv: 0.05,
  },
  trends: { billing: 0.14, id_card: 0.08, pharmacy: 0.03, onset: -13, eligibilityBefore: 1_200, growthDays: 7 },
  journeys: {
    perDay: { billing: 52_267, id_card: 50_000, pharmacy: 80_000 },
    undecided: 0.02,
    twoTypes: 0.03,
    login: 0.3,
    secondView: { failed: 0.2, other: 0.5 },
    appVersions: [
      ['7.14.2', 46],
      ['7.14.1', 22],
      ['7.13.0', 17],
      ['7.9.4', 9],
      ['6.30.1', 6],
    ],
  },
  issues: {
    eligibility: {
      ...billing,
      leaksPerDay: 3_900,
      categories: [
        ['MAPD New', 2_700],
        ['MAPD Tenured', 960],
        ['Commercial', 240],
      ],
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
      leaksPerDay: 1_100,
      categories: [
        ['MAPD New', 300],
        ['MAPD Tenured', 240],
        ['Commercial', 560],
      ],
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
      leaksPerDay: 3_000,
      categories: null,
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
      leaksPerDay: 4_000,
      categories: [
        ['MAPD New', 37],
        ['MAPD Tenured', 31],
        ['Commercial', 32],
      ],
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
  },
  idCardSpanish: 0.75,
  calls: {
    timeToCall: { medianMinutes: 10, sigma: 0.6, maxMinutes: 30 },
    reasonGiven: [
      ['explicit', 93],
      ['ivr_only', 5],
      ['generic', 2],
    ],
    genericReason: 'app_technical_support',
    handleSigma: 0.4724,
    sentimentNu: 8,
    agents: 400,
    followOn: 0.02,
    beforeFailure: 0.005,
  },
  afterFailure: {
    unalignedCall: 0.04,
    lateAlignedCall: 0.03,
    completedLater: 0.04,
    curedCall: 0.01,
    otherSession: 0.01,
  },
  repeats: {
    targets: {
      billing: { 'MAPD New': 0.28, 'MAPD Tenured': 0.18, Commercial: 0.15 },
      id_card: 0.25,
      pharmacy: 0.17,
    },
    afterFailure: 0.3,
    meanDays: 2,
    maxDays: 7,
    depth: 2,
  },
  otherCalls: {
    perDay: 18_000,
    topics: [
      ['elsewhere', 60],
      ['other_billing', 15],
      ['id_card', 10],
      ['pharmacy', 15],
    ],
    elsewhere: [
      { reason: 'claims_status', token: 'claims', weight: 30 },
      { reason: 'benefits_question', token: 'benefits', weight: 30 },
      { reason: 'provider_search', token: 'provider', weight: 15 },
      { reason: 'enrollment', token: 'enrollment', weight: 10 },
      { reason: 'prior_auth', token: 'authorization', weight: 15 },
    ],
    handleSeconds: 600,
    sentiment: 0.15,
    resolution: [
      ['resolved', 85],
      ['escalated', 10],
      ['pending', 5],
    ],
  },
  cells: [],
};

/** Leakage calls a day at scale 1. */
export function fullScaleCalls(p: Parameters): number {
  return ISSUES.reduce((sum, issue) => sum + p.issues[issue].leaksPerDay, 0);
}

/** What one cell is like: its issue with the overrides that are about it, the later ones winning. */
export interface CellParameters extends IssueParameters {
  failures: number;
  repeats: number;
}

export function cellParameters(
  p: Parameters,
  cell: { issue: Issue; category: Category; language: Language },
): CellParameters {
  let found: CellParameters = { ...p.issues[cell.issue], failures: 1, repeats: 1 };
  for (const { issue, category, language, handleSeconds, sentiment, ...rest } of p.cells) {
    if ((issue ?? cell.issue) !== cell.issue || (category ?? cell.category) !== cell.category) continue;
    if ((language ?? cell.language) !== cell.language) continue;
    found = { ...found, ...rest };
    if (handleSeconds !== undefined) found.handleSeconds = { ...found.handleSeconds, [cell.category]: handleSeconds };
    if (sentiment !== undefined) found.sentiment = { ...found.sentiment, [cell.category]: sentiment };
  }
  return found;
}

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
