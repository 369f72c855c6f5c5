/**
 * Columns on SVG: months or half-hours, of one group or of two beside each other.
 *
 * Place: draws what `charts_view` made; colours and hatching are the stylesheet's, by class, so that dark and forced colours need no redrawing.
 * Invariant: the axis begins at zero.
 */

import { axisBottom, axisLeft } from 'd3-axis';
import { scaleBand, scaleLinear } from 'd3-scale';
import { select } from 'd3-selection';

/** @typedef {import('./charts_view.js').Chart} Chart */
/** @typedef {{index: (x: number) => number, point: (index: number | null) => void}} Drawn */

const TOP = 22;
const BOTTOM = 26;
const BELOW = 14; // more where ticks have a second line
const RADIUS = 3;
const GAP = 1.5; // between the parts of a column
const LABEL_WIDTH_MIN = 40;
const LOW = 140; // a drawing of fewer ticks
const FONT = '11px Inter, system-ui, sans-serif';

/** @type {CanvasRenderingContext2D | null} */
const pen = document.createElement('canvas').getContext('2d');

/** @param {string} text */
function widthOf(text) {
  if (!pen) return text.length * 7;
  pen.font = FONT;
  return pen.measureText(text).width;
}

/**
 * A column with rounded shoulders.
 *
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 * @param {boolean} rounded
 */
function column(x, y, width, height, rounded) {
  const r = rounded ? Math.min(RADIUS, width / 2, height) : 0;
  return `M${x},${y + height}V${y + r}q0,${-r} ${r},${-r}h${width - 2 * r}q${r},0 ${r},${r}V${y + height}Z`;
}

/**
 * Draw anew.
 *
 * @param {SVGSVGElement} element
 * @param {Chart} chart
 * @param {number} width
 * @param {number} height
 * @returns {Drawn}
 */
export function draw(element, chart, width, height) {
  const svg = select(element).attr('viewBox', `0 0 ${width} ${height}`).attr('width', width).attr('height', height);
  svg.selectAll('*').remove();
  const sides = chart.points[0]?.bars.length ?? 0;
  const ground = height - BOTTOM - (chart.points.some((point) => point.below) ? BELOW : 0);
  const highest = Math.max(0, ...chart.points.flatMap((point) => point.bars.map((bar) => bar.parts.reduce((sum, part) => sum + part, 0))));
  const y = scaleLinear([0, highest || 1], [ground, TOP]).nice(4);
  const ticks = y.ticks(height < LOW ? 2 : 4).filter((tick) => highest > 0 || tick === 0);
  const left = Math.ceil(Math.max(...ticks.map((tick) => widthOf(chart.axis(tick))), 0)) + 12;
  const dense = chart.points.length > 30;
  const x = scaleBand(chart.points.map((_, index) => index), [left, width])
    .paddingInner(dense ? 0.22 : sides > 1 ? 0.3 : 0.42)
    .paddingOuter(dense ? 0.1 : 0.2);
  const inner = scaleBand([...Array(sides).keys()], [0, x.bandwidth()]).paddingInner(dense ? 0 : 0.08);

  const defs = svg.append('defs');
  for (let side = 0; side < sides; side += 1) hatch(defs, chart.id, side);
  svg
    .append('g')
    .attr('class', 'grid')
    .attr('transform', `translate(${left},0)`)
    .call(axisLeft(y).tickValues(ticks).tickSize(left - width).tickPadding(8).tickFormat((value) => chart.axis(Number(value))));
  const pointed = svg
    .append('rect')
    .attr('class', 'pointed')
    .attr('y', TOP - 8)
    .attr('height', ground - TOP + 8)
    .attr('width', x.step())
    .attr('rx', 4)
    .attr('visibility', 'hidden');

  const faint = (/** @type {number} */ side, /** @type {number} */ index) => (chart.peaks.length && chart.peaks[side] !== index ? ' faint' : '');
  chart.points.forEach((point, index) => {
    const group = svg.append('g');
    point.bars.forEach((bar, side) => {
      let end = 0;
      bar.parts.forEach((size, part) => {
        if (size <= 0) return;
        const tall = Math.max(1, y(end) - y(end + size) - (end ? GAP : 0));
        end += size;
        group
          .append('path')
          .attr('class', `bar side${side}${chart.shades[part] === 'light' ? ' light' : ''}${point.partial ? ' partial' : ''}${faint(side, index)}`)
          .attr('fill', point.partial ? `url(#hatch-${chart.id}-${side})` : null)
          .attr('d', column((x(index) ?? 0) + (inner(side) ?? 0), y(end), inner.bandwidth(), tall, part === bar.parts.length - 1));
      });
      const half = widthOf(bar.label) / 2 + 2;
      if (bar.label && sides === 1 && (index === chart.peaks[0] || x.step() >= Math.max(LABEL_WIDTH_MIN, 2 * half))) {
        const middle = (x(index) ?? 0) + x.bandwidth() / 2;
        group
          .append('text')
          .attr('class', 'value')
          .attr('text-anchor', 'middle')
          .attr('x', Math.max(left + half, Math.min(width - half, middle)))
          .attr('y', y(end) - 6)
          .text(bar.label);
      }
    });
  });
  axis(svg, chart, x, width, ground, left);
  return {
    index: (at) => Math.max(0, Math.min(chart.points.length - 1, Math.floor((at - left) / x.step()))),
    point: (index) => {
      pointed.attr('visibility', index === null ? 'hidden' : 'visible');
      if (index !== null) pointed.attr('x', (x(index) ?? 0) - (x.step() - x.bandwidth()) / 2);
    },
  };
}

/**
 * @param {import('d3-selection').Selection<SVGDefsElement, unknown, null, undefined>} defs
 * @param {string} id
 * @param {number} side
 */
function hatch(defs, id, side) {
  const pattern = defs
    .append('pattern')
    .attr('id', `hatch-${id}-${side}`)
    .attr('width', 6)
    .attr('height', 6)
    .attr('patternUnits', 'userSpaceOnUse')
    .attr('patternTransform', 'rotate(45)');
  pattern.append('rect').attr('class', `hatch-ground side${side}`).attr('width', 6).attr('height', 6);
  pattern.append('rect').attr('class', `hatch-line side${side}`).attr('width', 2.2).attr('height', 6);
}

/**
 * @param {import('d3-selection').Selection<SVGSVGElement, unknown, null, undefined>} svg
 * @param {Chart} chart
 * @param {import('d3-scale').ScaleBand<number>} x
 * @param {number} width
 * @param {number} ground where the axis lies
 * @param {number} left
 */
function axis(svg, chart, x, width, ground, left) {
  const widest = Math.max(...chart.points.map((point) => widthOf(point.tick)), 1);
  let every = chart.tickEvery;
  const first = chart.tickEvery > 1 ? widest / 2 : 0; // it stands beside its place, not under it
  while (x.step() * every < widest + first + 6) every *= 2;
  const shown = chart.points.map((_, index) => index).filter((index) => index % every === 0);
  const ticks = svg
    .append('g')
    .attr('class', 'axis')
    .attr('transform', `translate(0,${ground})`)
    .call(
      axisBottom(x)
        .tickValues(shown)
        .tickSize(0)
        .tickPadding(9)
        .tickFormat((index) => chart.points[index]?.tick ?? ''),
    );
  if (chart.tickEvery > 1) {
    // By start time: a tick stands at the beginning of its half-hour.
    ticks.selectAll('.tick').attr('transform', (index) => `translate(${x(Number(index)) ?? 0},0)`);
    ticks.selectAll('.tick:first-of-type text').attr('text-anchor', 'start');
  }
  ticks
    .selectAll('.tick')
    .filter((index) => Boolean(chart.points[Number(index)]?.below))
    .append('text')
    .attr('class', 'below')
    .attr('y', 31)
    .text((index) => chart.points[Number(index)]?.below ?? '');
  svg
    .append('line')
    .attr('class', 'ground')
    .attr('x1', left)
    .attr('x2', width)
    .attr('y1', ground)
    .attr('y2', ground);
}
