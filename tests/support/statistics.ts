/** Small statistics for judging whether a simulated world is as it was ordered. */

/** Var of a day's count beyond its mean, as parts of the mean squared: a gamma factor of the day, and one of each hour. */
export interface Overdispersion {
  readonly dayCv: number;
  readonly hourCv: number;
  /** Parts of a day by hour; they add up to 1. */
  readonly hours: readonly number[];
}

/**
 * Variance of a sum of daily counts with these means: Poisson, plus what the factors of days and hours add,
 * sum of m + m^2 (dayCv^2 + hourCv^2 sum of w_h^2).
 */
export function varianceOfSum(dailyMeans: readonly number[], { dayCv, hourCv, hours }: Overdispersion): number {
  const factor = dayCv ** 2 + hourCv ** 2 * hours.reduce((sum, part) => sum + part ** 2, 0);
  return dailyMeans.reduce((sum, mean) => sum + mean + mean ** 2 * factor, 0);
}

/** Standard error of a share of n. */
export function shareError(share: number, n: number): number {
  return Math.sqrt((share * (1 - share)) / n);
}

/** Growth of one sum over an earlier one with its 95 % interval (log ratio, delta method). */
export function growth(now: { sum: number; variance: number }, before: { sum: number; variance: number }) {
  const ratio = now.sum / before.sum;
  const error = Math.sqrt(now.variance / now.sum ** 2 + before.variance / before.sum ** 2);
  return { growth: ratio - 1, low: ratio * Math.exp(-1.96 * error) - 1, high: ratio * Math.exp(1.96 * error) - 1 };
}

/** The day from which counts have another mean: the split with the greatest Poisson likelihood. `counts[i]` over `weights[i]`. */
export function changePoint(counts: readonly number[], weights: readonly number[]): number {
  const sum = (list: readonly number[], from: number, to: number): number =>
    list.slice(from, to).reduce((all, one) => all + one, 0);
  const likelihood = (from: number, to: number): number => {
    const count = sum(counts, from, to);
    return count === 0 ? 0 : count * Math.log(count / sum(weights, from, to));
  };
  let best = { at: 1, gain: Number.NEGATIVE_INFINITY };
  for (let at = 1; at < counts.length; at++) {
    const gain = likelihood(0, at) + likelihood(at, counts.length);
    if (gain > best.gain) best = { at, gain };
  }
  return best.at;
}
