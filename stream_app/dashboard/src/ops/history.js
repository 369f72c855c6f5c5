/**
 * What numbers were since the page was opened, for its small curves. Kept in the page only; half an hour at full detail, then every second one goes.
 */

const POINTS_MAX = 900;
const GAP_MS = 15_000; // without a look, for nobody looked: the curve is broken

/** @typedef {{atMs: number, values: Map<string, number | null>}} Point */
/** @typedef {{path: string, area: string, now: number | null, most: number, sinceMs: number}} Curve */

export class History {
  /** @type {Point[]} */
  #points = [];

  /** @param {number} atMs @param {Map<string, number | null>} values */
  take(atMs, values) {
    this.#points.push({ atMs, values });
    if (this.#points.length > POINTS_MAX) this.#points = this.#points.filter((_, i) => i % 2 === 1);
  }

  /**
   * A curve in a box of width and height; what is missing breaks it.
   *
   * @param {string} key
   * @param {number} width
   * @param {number} height
   * @param {number} least what the top stands for, at least
   * @returns {Curve | null} null: there is nothing to draw yet
   */
  curve(key, width, height, least) {
    const points = this.#points.map(({ atMs, values }) => ({ atMs, value: values.get(key) ?? null }));
    const known = points.flatMap(({ value }) => (value === null ? [] : [value]));
    const first = points[0];
    const last = points.at(-1);
    if (known.length < 2 || !first || !last || last.atMs <= first.atMs) return null;
    const most = Math.max(...known);
    const top = Math.max(most * 1.15, least);
    const x = (/** @type {number} */ atMs) => round(((atMs - first.atMs) / (last.atMs - first.atMs)) * width);
    const y = (/** @type {number} */ value) => round(height - 1 - (value / top) * (height - 2));
    /** @type {[number, number][][]} */
    const runs = [];
    let beforeMs = -Infinity;
    for (const { atMs, value } of points) {
      if (value === null) {
        beforeMs = -Infinity;
        continue;
      }
      if (atMs - beforeMs > GAP_MS) runs.push([]);
      runs.at(-1)?.push([x(atMs), y(value)]);
      beforeMs = atMs;
    }
    const line = (/** @type {[number, number][]} */ run) => `M${run.map((at) => at.join(' ')).join('L')}`;
    const areas = runs.map((run) => `${line(run)}L${run.at(-1)?.[0]} ${height}L${run[0]?.[0]} ${height}Z`);
    return { path: runs.map(line).join(''), area: areas.join(''), now: last.value, most, sinceMs: first.atMs };
  }
}

/** @param {number} value */
const round = (value) => Math.round(value * 100) / 100;
