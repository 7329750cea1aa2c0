// Drift, traffic and accuracy over time. The whole chart is one slider: its value is the chosen bin.

const STATISTICS = {
  jsd: { name: 'Jensen-Shannon distance', floor: (bin) => bin.noise_floor },
  psi: { name: 'Population stability index', floor: (bin) => bin.psi_floor },
};

/** Bins in a row; where time is missing between two, half a bin is left free. */
function slots(bins) {
  let usual = Infinity;
  for (let i = 1; i < bins.length; i++) usual = Math.min(usual, bins[i].start - bins[i - 1].start);
  let at = 0;
  return bins.map((bin, i) => {
    if (i > 0) at += bin.start - bins[i - 1].start > usual ? 1.6 : 1;
    return at;
  });
}

/** Runs of bins that belong to one window. */
function runs(bins) {
  const found = [];
  bins.forEach((bin, i) => {
    const name = bin.windows.join(', ');
    const last = found.at(-1);
    if (last && last.name === name) last.to = i;
    else found.push({ name, from: i, to: i });
  });
  return found;
}

class Timeline {
  constructor(host, choose) {
    this.host = host;
    this.choose = choose;
    this.tip = h('div', { id: 'tip', hidden: true });
    host.addEventListener('keydown', (event) => this.key(event));
    host.addEventListener('click', (event) => this.bins && this.choose(this.nearest(event)));
    host.addEventListener('pointermove', (event) => this.bins && this.point(this.nearest(event)));
    host.addEventListener('pointerleave', () => this.point(null));
    host.addEventListener('focus', () => host.matches(':focus-visible') && this.point(this.chosen));
    host.addEventListener('blur', () => this.point(null));
  }

  show(model, statistic, chosen) {
    Object.assign(this, { model, bins: model.bins, statistic, chosen });
    this.draw();
  }

  key(event) {
    const page = Math.max(2, Math.round(this.bins.length / 10));
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: page, PageDown: -page,
      Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = Math.min(this.bins.length - 1, Math.max(0, this.chosen + by));
    if (next !== this.chosen) this.choose(next);
    this.point(next);
  }

  nearest(event) {
    const x = event.clientX - this.host.getBoundingClientRect().left;
    let best = 0;
    this.xs.forEach((at, i) => { if (Math.abs(at - x) < Math.abs(this.xs[best] - x)) best = i; });
    return best;
  }

  /** Shows the numbers of a bin beside it. */
  point(i) {
    this.tip.hidden = i === null;
    if (i === null) return;
    const bin = this.bins[i];
    this.tip.textContent = [binName(bin.start, this.model.size), bin.windows.join(', '), this.inWords(bin),
      plural(bin.rows, 'event') + (bin.accuracy === null ? '' : `, accuracy ${percent(bin.accuracy)}`)].join('\n');
    const wide = Math.min(240, this.width);
    const left = this.xs[i] + 14 + wide > this.width ? this.xs[i] - 14 - this.tip.offsetWidth : this.xs[i] + 14;
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${this.top}px`;
  }

  inWords(bin) {
    const { name, floor } = STATISTICS[this.statistic];
    const value = bin[this.statistic];
    if (value === null) return `${name} unknown`;
    return `${this.statistic.toUpperCase()} ${number(value)}, ${times(value, floor(bin))} noise floor (p ${probability(bin.p_value)}): ${bin.drifted ? 'drift' : 'no drift'}`;
  }

  draw() {
    const { bins, host, model } = this;
    this.width = host.clientWidth;
    const narrow = this.width < 560;
    const left = 46; const right = this.width - 10;
    const at = slots(bins);
    const slot = Math.min(64, (right - left) / (at.at(-1) + 1));
    this.xs = at.map((one) => left + (one + 0.5) * slot);
    const labelled = bins.some((bin) => bin.accuracy !== null);
    const drift = { top: 14, bottom: narrow ? 170 : 220 };
    const rows = { top: drift.bottom + 66, bottom: drift.bottom + 110 };
    const right_answers = { top: rows.bottom + 30, bottom: rows.bottom + 74 };
    const height = (labelled ? right_answers : rows).bottom + 12;
    this.top = drift.top;
    const picture = s('svg', { width: this.width, height, 'aria-hidden': 'true' });
    const band = s('rect', { class: 'now-band', x: this.xs[this.chosen] - Math.max(slot, 4) / 2, width: Math.max(slot, 4),
      y: drift.top - 8, height: height - drift.top, rx: 3 });
    picture.append(band);
    this.plane(picture, drift, slot, left, right, narrow);
    this.under(picture, drift.bottom, slot);
    this.bars(picture, rows, slot, left, right);
    if (labelled) this.accuracies(picture, right_answers, left, right);
    host.replaceChildren(picture, this.tip);
    if (!this.tip.hidden) this.point(this.chosen);
    const bin = bins[this.chosen];
    const spoken = { label: `Chosen ${model.size}`, valuemin: 0, valuemax: bins.length - 1, valuenow: this.chosen,
      valuetext: `${binName(bin.start, model.size)}, ${bin.windows.join(', ')}: ${this.inWords(bin)}`, orientation: 'horizontal' };
    for (const [name, value] of Object.entries(spoken)) host.setAttribute(`aria-${name}`, value);
  }

  axis(picture, area, list, left, right, text) {
    const y = (value) => area.bottom - (value / list.at(-1)) * (area.bottom - area.top);
    for (const value of list) {
      picture.append(s('line', { class: 'grid', x1: left, x2: right, y1: y(value), y2: y(value) }),
        s('text', { x: left - 7, y: y(value) + 4, 'text-anchor': 'end' }, text(value)));
    }
    return y;
  }

  plane(picture, area, slot, left, right, narrow) {
    const { bins, statistic, xs } = this;
    const { floor } = STATISTICS[statistic];
    const known = bins.filter((bin) => bin[statistic] !== null);
    const limit = (bin) => (statistic === 'jsd' ? this.model.drift_factor * bin.noise_floor : null);
    const most = Math.max(1e-3, ...known.map((bin) => Math.max(bin[statistic], floor(bin), limit(bin) ?? 0)));
    const list = ticks(most, narrow ? 3 : 5);
    const y = this.axis(picture, area, list, left, right, (value) => tickText(value, list));
    let floors = ''; let limits = '';
    bins.forEach((bin, i) => {
      if (bin[statistic] === null) return;
      const [from, to] = [xs[i] - slot / 2, xs[i] + slot / 2];
      floors += `M${from} ${area.bottom}V${y(floor(bin))}H${to}V${area.bottom}z`;
      if (limit(bin) === null) return;
      // One line where bins touch, so that its dashes can be seen.
      const joined = i > 0 && bins[i - 1][statistic] !== null && xs[i] - xs[i - 1] < 1.1 * slot;
      limits += `${joined ? 'V' : `M${from} `}${y(limit(bin))}H${to}`;
    });
    picture.append(s('path', { class: 'floor', d: floors }), s('path', { class: 'limit', d: limits }));
    for (const run of runs(bins)) {
      const points = [];
      for (let i = run.from; i <= run.to; i++) {
        if (bins[i][statistic] !== null) points.push(`${xs[i].toFixed(1)},${y(bins[i][statistic]).toFixed(1)}`);
      }
      picture.append(s('polyline', { class: 'trend', points: points.join(' ') }));
    }
    const r = Math.max(1.6, Math.min(5, slot / 2.4));
    bins.forEach((bin, i) => bin[statistic] !== null && picture.append(mark(xs[i], y(bin[statistic]), r, bin.drifted)));
    const now = bins[this.chosen];
    if (now[statistic] !== null) picture.append(s('circle', { class: 'now-ring', cx: xs[this.chosen], cy: y(now[statistic]), r: r + 5 }));
  }

  /** Dates and names of windows. */
  under(picture, bottom, slot) {
    const { bins, xs, model } = this;
    const wide = model.size === 'hour' ? 92 : 52;
    let free = -Infinity;
    bins.forEach((bin, i) => {
      if (xs[i] - wide / 2 < free || xs[i] + wide / 2 > this.width + 6) return;
      free = xs[i] + wide / 2;
      picture.append(s('text', { x: xs[i], y: bottom + 17, 'text-anchor': 'middle' }, binTick(bin.start, model.size)));
    });
    const groups = runs(bins);
    if (groups.length > this.width / 40) return;
    for (const { name, from, to } of groups) {
      const [x1, x2] = [xs[from] - slot / 2 + 2, xs[to] + slot / 2 - 2];
      const room = Math.floor((x2 - x1) / 7);
      const shown = name.length > room ? `${name.slice(0, Math.max(0, room - 1))}…` : name;
      picture.append(s('path', { class: 'bracket', d: `M${x1} ${bottom + 24}v4H${x2}v-4` }));
      if (room > 2) picture.append(s('text', { class: 'strong', x: (x1 + x2) / 2, y: bottom + 42, 'text-anchor': 'middle' }, shown));
    }
  }

  bars(picture, area, slot, left, right) {
    const list = ticks(Math.max(...this.bins.map((bin) => bin.rows)), 2);
    picture.append(s('text', { class: 'strong', x: left, y: area.top - 8 }, `Events per ${this.model.size}`));
    const y = this.axis(picture, area, list, left, right, (value) => tickText(value, list));
    const wide = Math.max(1, slot * 0.7);
    this.bins.forEach((bin, i) => picture.append(s('rect', { class: 'traffic', x: this.xs[i] - wide / 2, width: wide,
      y: y(bin.rows), height: area.bottom - y(bin.rows) })));
  }

  accuracies(picture, area, left, right) {
    picture.append(s('text', { class: 'strong', x: left, y: area.top - 8 }, 'Accuracy'));
    const y = this.axis(picture, area, [0, 0.5, 1], left, right, (value) => `${100 * value} %`);
    for (const run of runs(this.bins)) {
      const points = [];
      for (let i = run.from; i <= run.to; i++) {
        const { accuracy } = this.bins[i];
        if (accuracy !== null) points.push([this.xs[i].toFixed(1), y(accuracy).toFixed(1)]);
      }
      picture.append(s('polyline', { class: 'accuracy', points: points.join(' ') }));
      if (points.length === 1) picture.append(s('circle', { class: 'accuracy-point', cx: points[0][0], cy: points[0][1], r: 2.5 }));
    }
    const reference = this.model.baseline_accuracy;
    if (reference === null) return;
    picture.append(s('path', { class: 'limit', d: `M${left} ${y(reference)}H${right}` }),
      s('text', { x: right, y: area.top - 8, 'text-anchor': 'end' }, `dashed: baseline ${percent(reference)}`));
  }
}

/** What the shapes of the chart mean. */
function legend(statistic, model) {
  const small = (...parts) => s('svg', { width: 22, height: 14, 'aria-hidden': 'true' }, ...parts);
  const items = [
    [small(mark(11, 7, 5, false)), 'no drift'],
    [small(mark(11, 7, 5, true)), statistic === 'jsd' ? 'drift' : 'drift, by the JSD'],
    [small(s('rect', { class: 'floor', x: 1, y: 1, width: 20, height: 12 })), 'noise floor: the distance that chance alone gives so few rows'],
  ];
  if (statistic === 'jsd') items.push([small(s('path', { class: 'limit', d: 'M1 7H21' })), `limit: ${model.drift_factor.toFixed(1)} noise floors`]);
  return items.map(([picture, text]) => h('li', {}, picture, text));
}
