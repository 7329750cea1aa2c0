// The chosen bin: its clusters, its images and its place on the map, each beside the baseline's.

/** Shares of the clusters, baseline and bin side by side, and in words what moved most. */
function clusters(host, model, bin) {
  const share = (counts) => { const all = counts.reduce((a, b) => a + b, 0); return counts.map((count) => (all ? count / all : 0)); };
  const before = share(model.baseline_counts);
  const now = share(bin.counts);
  const moved = before.map((p, i) => ({ i, by: now[i] - p })).sort((a, b) => Math.abs(b.by) - Math.abs(a.by))[0];
  const words = moved && Math.abs(moved.by) >= 0.005
    ? `Cluster ${moved.i + 1} moved most: from ${percent(before[moved.i])} of the baseline to ${percent(now[moved.i])} of this ${model.size}.`
    : `Every cluster has nearly the share that it has in the baseline.`;
  const width = Math.max(240, host.clientWidth);
  const [left, right, top, bottom] = [38, width, 20, 194];
  const list = ticks(Math.max(...before, ...now), 4);
  const y = (value) => bottom - (value / list.at(-1)) * (bottom - top);
  const slot = (right - left) / before.length;
  const wide = Math.min(34, slot * 0.36);
  const picture = s('svg', { width, height: 220, role: 'img', 'aria-label':
    before.map((p, i) => `Cluster ${i + 1}: baseline ${percent(p)}, this ${model.size} ${percent(now[i])}`).join('; ') });
  for (const value of list) {
    picture.append(s('line', { class: 'grid', x1: left, x2: right, y1: y(value), y2: y(value) }),
      s('text', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, `${+(100 * value).toFixed(1)} %`));
  }
  before.forEach((p, i) => {
    const middle = left + slot * (i + 0.5);
    picture.append(
      s('rect', { class: 'bar-baseline', x: middle - wide - 1, width: wide, y: y(p), height: bottom - y(p) }),
      s('rect', { class: 'bar-window', x: middle + 1, width: wide, y: y(now[i]), height: bottom - y(now[i]) }));
    if (slot > 14) picture.append(s('text', { x: middle, y: bottom + 18, 'text-anchor': 'middle' }, `${i + 1}`));
    if (slot > 62) {
      picture.append(s('text', { x: middle - wide / 2 - 1, y: y(p) - 4, 'text-anchor': 'middle' }, (100 * p).toFixed(0)),
        s('text', { class: 'strong', x: middle + wide / 2 + 1, y: y(now[i]) - 4, 'text-anchor': 'middle' }, (100 * now[i]).toFixed(0)));
    }
  });
  host.replaceChildren(both(s('rect', { class: 'bar-baseline', x: 2, y: 2, width: 10, height: 10 }), s('rect', { class: 'bar-window', x: 1, y: 1, width: 12, height: 12 }), model),
    picture, h('p', { class: 'hint' }, words));
}

/** The two sides of a comparison. */
const both = (first, second, model) => {
  const small = (part) => s('svg', { width: 14, height: 14, 'aria-hidden': 'true' }, part);
  return h('ul', { class: 'legend' }, h('li', {}, small(first), model.baseline === 'baseline' ? 'baseline' : `baseline ${model.baseline}`), h('li', {}, small(second), `this ${model.size}`));
};

/** Rows of the baseline and of the bin on the plane in which the baseline spreads most. */
function map(host, model, detail, bin) {
  const [width, height] = [Math.max(240, host.clientWidth), 220];
  const all = [...model.map, ...detail.map];
  const [xs, ys] = [0, 1].map((axis) => all.map((point) => point[axis]));
  const [low, high] = [[Math.min(...xs), Math.min(...ys)], [Math.max(...xs), Math.max(...ys)]];
  // Both axes have one scale: distances are seen as they are.
  const scale = Math.min((width - 24) / Math.max(1, high[0] - low[0]), (height - 24) / Math.max(1, high[1] - low[1]));
  const x = (value) => (width / 2 + (value - (low[0] + high[0]) / 2) * scale).toFixed(1);
  const y = (value) => (height / 2 - (value - (low[1] + high[1]) / 2) * scale).toFixed(1);
  const picture = s('svg', { width, height, role: 'img', 'aria-label':
    `${plural(model.map.length, 'row')} of the baseline and ${whole(detail.map.length)} of this ${model.size} on the plane in which the baseline spreads most` });
  picture.append(s('rect', { class: 'frame', x: 0.5, y: 0.5, width: width - 1, height: height - 1, rx: 4 }));
  for (const point of model.map) picture.append(s('circle', { class: 'dot-baseline', cx: x(point[0]), cy: y(point[1]), r: 2.2 }));
  for (const point of detail.map) picture.append(s('path', { class: 'dot-window', d: `M${x(point[0])} ${y(point[1]) - 3.4}l3.2 5.4h-6.4z` }));
  host.replaceChildren(
    both(s('circle', { class: 'dot-baseline', cx: 7, cy: 7, r: 3.5 }), s('path', { class: 'dot-window', d: 'M7 2l5.5 10h-11z' }), model), picture,
    h('p', { class: 'hint' }, `${whole(detail.map.length)} of ${plural(bin.rows, 'event')}, ${whole(model.map.length)} of ${plural(model.baseline_rows, 'baseline row')}. What lies close together has similar embeddings.`));
}

/** Images of the bin, each beside the baseline's nearest. */
function images(host, model, detail) {
  if (detail.images.length === 0) {
    host.replaceChildren(h('p', { class: 'hint' }, `No rows of this ${model.size} to show.`));
    return;
  }
  host.replaceChildren(
    h('p', { class: 'hint' }, `Typical images of cluster ${detail.grown + 1}, which grew most; beside each the baseline's with the nearest embedding.`),
    h('ul', { class: 'pairs' }, detail.images.map((pair) => h('li', {},
      figure(pair, `this ${model.size}`), pair.nearest ? figure(pair.nearest, 'nearest of baseline') : null))));
}

function figure(row, where) {
  const prediction = row.prediction ?? 'no prediction';
  const wrong = row.target !== null && row.prediction !== null && row.target !== row.prediction;
  const said = row.target === null ? `predicted ${prediction}` : `${row.target}, predicted ${prediction}`;
  const place = h('div', { class: 'placeholder' }, row.url || 'no image_url');
  const shown = h('figure', {}, place, h('figcaption', {}, wrong ? said : prediction, h('span', {}, where)));
  if (row.pictured) {
    source.picture(row.url).then((address) => address
      && place.replaceWith(h('img', { src: address, alt: `${where}: ${said}`, title: row.url, loading: 'lazy' })));
  }
  return shown;
}
