import type { ProfileColumns, ProfileVersion } from './types.ts';

export function memberCategory(profile: Pick<ProfileVersion, 'plan_type' | 'segment'>): string {
  if (profile.plan_type !== 'MAPD') return 'Commercial';
  return profile.segment === 'new' ? 'MAPD New' : 'MAPD Tenured';
}

export const UNKNOWN_MEMBER: ProfileColumns = {
  member_category: 'Unknown',
  plan_type: null,
  segment: null,
  language_preference: null,
};

/** The version valid at an instant; before the first version, the first one. `versions` ascend by `valid_from`. */
export function profileAt(versions: readonly ProfileVersion[], instant: number): ProfileColumns {
  const version = versions.findLast((candidate) => candidate.valid_from <= instant) ?? versions[0];
  if (version === undefined) return UNKNOWN_MEMBER;
  const { plan_type, segment, language_preference } = version;
  return { member_category: memberCategory(version), plan_type, segment, language_preference };
}

export interface Interval {
  readonly from: number;
  readonly to: number;
}

/**
 * The instants that take the version valid from `validFrom`: up to the next version, exclusive (a millisecond earlier,
 * as ranges are closed); for the first version everything before it too.
 */
export function validityOf(versions: readonly ProfileVersion[], validFrom: number): Interval {
  const next = versions.find((version) => version.valid_from > validFrom);
  const isFirst = versions.every((version) => version.valid_from >= validFrom);
  return {
    from: isFirst ? Number.NEGATIVE_INFINITY : validFrom,
    to: next === undefined ? Number.POSITIVE_INFINITY : next.valid_from - 1,
  };
}
