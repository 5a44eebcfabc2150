/**
 * A seeded stream of numbers (sfc32). Streams with different labels are independent, so that one part of the world can be
 * drawn alone, and a parameter of one part never shifts another.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  #spareNormal: number | null = null;

  constructor(seed: number, ...labels: readonly (string | number)[]) {
    let [a, b, c, d] = [0x243f6a88 ^ seed, 0x85a308d3, 0x13198a2e ^ Math.floor(seed / 2 ** 32), 0x03707344];
    const absorb = (x: number): void => {
      a = Math.imul(rotl(a ^ x, 13), 0x9e3779b1) ^ b;
      b = Math.imul(rotl(b ^ a, 17), 0x85ebca77) ^ c;
      c = Math.imul(rotl(c ^ b, 11), 0xc2b2ae3d) ^ d;
      d = Math.imul(rotl(d ^ c, 19), 0x27d4eb2f) ^ a;
    };
    for (const label of labels) {
      if (typeof label === 'number') {
        absorb(1);
        absorb(label | 0);
        absorb(Math.floor(label / 2 ** 32) | 0);
      } else {
        absorb(2 + label.length);
        for (let i = 0; i < label.length; i++) absorb(label.charCodeAt(i));
      }
    }
    [this.#a, this.#b, this.#c, this.#d] = [a, b, c, d];
    for (let i = 0; i < 15; i++) this.uint32();
  }

  uint32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (rotl(this.#c, 21) + t) | 0;
    return t >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform integer in [0, n). */
  int(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** An element, each as likely as any other. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  /** A value with probability proportional to its weight. */
  weighted<T>(choices: readonly (readonly [T, number])[]): T {
    let rest = this.next() * choices.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [value, weight] of choices) {
      rest -= weight;
      if (rest < 0) return value;
    }
    const last = choices.at(-1);
    if (last === undefined) throw new Error('nothing to choose from');
    return last[0];
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  /** Standard normal (polar method of Marsaglia). */
  normal(): number {
    if (this.#spareNormal !== null) {
      const spare = this.#spareNormal;
      this.#spareNormal = null;
      return spare;
    }
    for (;;) {
      const [x, y] = [this.between(-1, 1), this.between(-1, 1)];
      const s = x * x + y * y;
      if (s > 0 && s < 1) {
        const factor = Math.sqrt((-2 * Math.log(s)) / s);
        this.#spareNormal = y * factor;
        return x * factor;
      }
    }
  }

  lognormal(mu: number, sigma: number): number {
    return Math.exp(mu + sigma * this.normal());
  }

  /** Gamma with scale 1 (Marsaglia and Tsang 2000). */
  gamma(shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * (1 - this.next()) ** (1 / shape);
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - this.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  /** A factor around 1 with the given coefficient of variation. */
  gammaFactor(cv: number): number {
    const shape = 1 / (cv * cv);
    return this.gamma(shape) / shape;
  }

  beta(alpha: number, beta: number): number {
    const x = this.gamma(alpha);
    return x / (x + this.gamma(beta));
  }

  poisson(mean: number): number {
    // Sums of Poisson counts are Poisson: large means in pieces for which the product below does not underflow.
    let count = 0;
    let rest = mean;
    for (; rest > 30; rest -= 30) count += this.#smallPoisson(30);
    return count + this.#smallPoisson(rest);
  }

  #smallPoisson(mean: number): number {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.next(); product > limit; product *= this.next()) count += 1;
    return count;
  }
}

function rotl(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}
