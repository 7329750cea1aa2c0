// The same numbers as tables and as a file.

const COLUMNS = [
  ['start', (bin) => iso(bin.start)],
  ['window', (bin) => bin.windows.join(', ')],
  ['events', (bin) => bin.rows],
  ['jsd', (bin) => bin.jsd],
  ['noise_floor', (bin) => bin.noise_floor],
  ['p_value', (bin) => bin.p_value],
  ['psi', (bin) => bin.psi],
  ['accuracy', (bin) => bin.accuracy],
  ['drift', (bin) => (bin.jsd === null ? null : bin.drifted ? 'yes' : 'no')],
];

/** A table: `columns` are names, `text` those that are aligned as words; the first cell of a row is its heading. */
function table(node, caption, columns, text, rows) {
  const kind = (i) => ({ class: text.includes(i) ? 'text' : null });
  node.replaceChildren(
    h('caption', { class: 'unseen' }, caption),
    h('thead', {}, h('tr', {}, columns.map((name, i) => h('th', { scope: 'col', ...kind(i) }, name)))),
    h('tbody', {}, rows.map((row) => h('tr', {}, row.map((cell, i) => (i === 0
      ? h('th', { scope: 'row', ...kind(i) }, cell)
      : h('td', kind(i), cell)))))));
  return node;
}

/** Every bin. */
function numbers(node, model) {
  const start = (bin) => (model.size === 'hour' ? iso(bin.start).slice(0, 16).replace('T', ' ') : iso(bin.start).slice(0, 10));
  table(node, `Drift of ${model.model} by ${model.size}, against ${model.baseline}`,
    [model.size, 'window', 'events', 'JSD', 'noise floor', 'JSD / floor', 'p-value', 'PSI', 'accuracy', 'verdict'], [0, 1, 9],
    model.bins.map((bin) => [start(bin), bin.windows.join(', '), whole(bin.rows), number(bin.jsd), number(bin.noise_floor),
      bin.jsd === null ? '–' : times(bin.jsd, bin.noise_floor), probability(bin.p_value), number(bin.psi), percent(bin.accuracy), bin.jsd === null ? '–' : verdictOf(bin.drifted)]));
}

/** Marks the row of the chosen bin. */
function markRow(node, chosen) {
  node.querySelector('tr.now')?.removeAttribute('aria-current');
  node.querySelector('tr.now')?.classList.remove('now');
  const row = node.tBodies[0].rows[chosen];
  row.classList.add('now');
  row.setAttribute('aria-current', 'true');
}

/** A comma-separated file; a cell that a spreadsheet would take for a formula begins with an apostrophe. */
function csv(model) {
  const cell = (value) => {
    if (value === null || value === undefined) return '';
    let text = String(value);
    if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const names = COLUMNS.map(([name]) => name);
  return [names, ...model.bins.map((bin) => COLUMNS.map(([, value]) => value(bin)))]
    .map((row) => row.map(cell).join(',')).join('\r\n').concat('\r\n');
}

function download(model) {
  const address = URL.createObjectURL(new Blob([csv(model)], { type: 'text/csv' }));
  const name = `${model.project}-${model.model}-${model.size}.csv`.replace(/[^\w.-]+/g, '_');
  h('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** The windows at a glance. */
function windows(model) {
  const anyLabels = model.windows.some((window) => window.accuracy !== null);
  const columns = ['window', 'verdict', 'JSD', 'noise floor', 'JSD / floor', 'p-value', 'PSI', 'events', ...(anyLabels ? ['accuracy'] : [])];
  return h('div', { class: 'scroll', role: 'region', tabindex: 0, 'aria-label': 'Table of windows' }, table(h('table'), 'Windows', columns, [0, 1],
    model.windows.map((window) => [window.name, verdictOf(window.drifted), number(window.jsd), number(window.noise_floor),
      times(window.jsd, window.noise_floor), probability(window.p_value), number(window.psi), whole(window.rows), ...(anyLabels ? [percent(window.accuracy)] : [])])));
}

/** Rules that fired; a report knows none. */
function alerts(host, model) {
  host.closest('section').hidden = model.alerts === null;
  if (!model.alerts?.length) {
    host.replaceChildren(h('p', { class: 'hint' }, 'No alert rule fired. Rules are made with Fiddler’s client: ', h('code', {}, 'fdl.AlertRule(…).create()'), '.'));
    return;
  }
  const severity = (one) => h('span', { class: one === 'critical' ? 'drifted-text' : '' }, one === 'critical' ? '▲ critical' : '△ warning');
  host.replaceChildren(h('div', { class: 'scroll', role: 'region', tabindex: 0, 'aria-label': 'Table of alerts' },
    table(h('table'), 'Alerts', ['rule', 'bin', 'severity', 'metric', 'value', 'threshold'], [0, 1, 2, 3],
      model.alerts.map((alert) => [alert.rule, iso(alert.bin).slice(0, 16).replace('T', ' '), severity(alert.severity), alert.metric,
        `${+alert.value.toPrecision(4)}`, `${+alert.threshold.toPrecision(4)}`]))));
}
