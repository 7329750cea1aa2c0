// Elements, scales and words. Whatever comes from outside goes through `append`, so that it is text and never markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element with attributes and children; strings become text. */
const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

/** An SVG element. */
const s = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

const byId = (id) => document.getElementById(id);

/** A mark for a bin or a window: a triangle has drifted, a circle has not. */
function mark(x, y, r, drifted) {
  return drifted
    ? s('path', { class: 'drift', d: `M${x} ${y - r * 1.25}l${r * 1.2} ${r * 2.1}h${-r * 2.4}z` })
    : s('circle', { class: 'steady', cx: x, cy: y, r });
}

/** The mark as a picture of its own, beside words that say the same. */
const sign = (drifted) => h('span', { class: 'mark', 'aria-hidden': 'true' },
  s('svg', { width: 14, height: 14 }, mark(7, 7, 5.2, drifted)));

/** A verdict in words and shape. */
const verdictOf = (drifted) => h('span', { class: drifted ? 'drifted-text' : 'steady-text' },
  sign(drifted), drifted ? ' drift' : ' no drift');

/** Round numbers from 0 to at least `most`, about `count` of them. */
function ticks(most, count) {
  if (!(most > 0)) return [0, 1];
  const raw = most / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw * 0.999);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) => i * step);
}

/** A tick with as many decimals as the step between ticks has. */
function tickText(value, list) {
  const step = list[1] - list[0];
  let decimals = 0;
  while (decimals < 6 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6) decimals += 1;
  return decimals ? value.toFixed(decimals) : short(value);
}

const whole = (value) => value.toLocaleString('en');
const short = (value) => (value >= 1e6 ? `${+(value / 1e6).toPrecision(3)} M` : value >= 1e4 ? `${+(value / 1e3).toPrecision(3)} k` : whole(value));
/** A p-value: three digits, or its power of ten. */
const probability = (p) => (p === null || p === undefined ? '–' : p < 1e-9 ? '< 1e-9' : p < 0.001 ? p.toExponential(0) : p.toFixed(3));

const number = (value) => (value === null || value === undefined ? '–' : value.toFixed(4));
const percent = (share) => (share === null || share === undefined ? '–' : `${(100 * share).toFixed(1)} %`);
const times = (value, floor) => (floor > 0 ? `${+(value / floor).toPrecision(2)} ×` : '–');

const day = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short' });
const dayAndYear = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' });
const long = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const iso = (ms) => new Date(ms).toISOString();
const hour = (ms) => iso(ms).slice(11, 16);

/** The bin that starts at `ms` in words, long for a heading. */
function binName(ms, size) {
  if (size === 'hour') return `${dayAndYear.format(ms)}, ${hour(ms)}`;
  if (size === 'day') return long.format(ms);
  return `${size === 'week' ? 'Week' : 'Month'} from ${dayAndYear.format(ms)}`;
}

const binTick = (ms, size) => (size === 'hour' ? `${day.format(ms)} ${hour(ms)}` : day.format(ms));

/** `1 event`, `2 events`. */
const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? '' : 's'}`;
