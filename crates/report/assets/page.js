// The page: what is chosen, what is asked for, what is shown.

const SIZES = ['hour', 'day', 'week', 'month'];
const state = { project: null, model: null, baseline: null, size: 'day', statistic: 'jsd', at: null };
let shown = null;
let asked = 0;
/** Draws the clusters and the map of the chosen bin again. */
let redraw = () => {};

const timeline = new Timeline(byId('timeline'), (i) => choose(i));

/** What is chosen is kept in the address, so that a link shows the same. */
function remember() {
  const here = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== null) here.set(name, value);
  try {
    history.replaceState(null, '', `#${here}`);
  } catch {
    // Some browsers keep the address of a local file as it is.
  }
}

function recall() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) if (name in state) state[name] = value;
  if (state.at !== null) state.at = Number(state.at);
  if (!(state.statistic in STATISTICS)) state.statistic = 'jsd';
  if (!SIZES.includes(state.size)) state.size = 'day';
}

const SECTIONS = ['problem', 'token', 'empty', 'content'];

/** Shows one of the sections, or none while something is under way. */
function show(section, status = '') {
  for (const id of SECTIONS) byId(id).hidden = id !== section;
  byId('pickers').hidden = section !== 'content';
  byId('status').textContent = status;
}

/** Does `step`; a refused token asks for another, anything else can be tried again. */
async function attempt(step) {
  try {
    await step();
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      askToken(sessionStorage.getItem(token.key) ? 'The server does not accept this token.' : 'This server requires a token.');
      return;
    }
    const again = h('button', { type: 'button' }, 'Try again');
    again.addEventListener('click', () => attempt(step));
    byId('problem').replaceChildren(h('h2', {}, 'An error occurred'), h('p', {}, error.message), again);
    show('problem');
    console.info(error.message);
  }
}

function askToken(reason) {
  token.forget();
  byId('token-reason').textContent = reason;
  show('token');
  byId('token-input').focus();
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  token.set(byId('token-input').value.trim());
  byId('token-input').value = '';
  attempt(start);
});

async function start() {
  show(null, 'Looking for models…');
  const models = await source.models();
  if (models.length === 0) {
    empty('No model yet', 'Publish one with an official Fiddler client that is pointed at this server, or simulate three weeks of events with drift on sample data:', 'driftline quickstart --sink fiddler');
    return;
  }
  const chosen = models.find((one) => one.project === state.project && one.model === state.model) ?? models[0];
  pick(byId('model'), models.map((one, i) => ({ value: i, text: one.model, group: one.project, selected: one === chosen })));
  byId('model').onchange = () => {
    Object.assign(state, models[byId('model').value], { baseline: null, at: null });
    attempt(load);
  };
  Object.assign(state, { project: chosen.project, model: chosen.model });
  await load();
}

function pick(select, options) {
  const option = ({ value, text, selected }) => h('option', { value, selected }, text);
  const groups = [...new Set(options.map(({ group }) => group))];
  select.replaceChildren(...groups.flatMap((group) => {
    const inside = options.filter((one) => one.group === group).map(option);
    return group === undefined ? inside : [h('optgroup', { label: group }, inside)];
  }));
}

function empty(title, text, command) {
  byId('empty').replaceChildren(h('h2', { id: 'empty-title' }, title), h('p', {}, text), h('pre', {}, command));
  show('empty');
}

async function load() {
  const number = ++asked;
  if (shown === null) show(null, 'Loading…');
  else byId('status').textContent = 'Loading…';
  const wanted = { project: state.project, model: state.model, size: state.size };
  if (state.baseline !== null) wanted.baseline = state.baseline;
  const model = await source.model(wanted).catch((error) => {
    if (error.status !== 404 || state.baseline === null) throw error;
    // A link may name a baseline that is gone.
    return source.model({ project: state.project, model: state.model, size: state.size });
  });
  // Something else was chosen meanwhile.
  if (number !== asked) return;
  shown = model;
  Object.assign(state, { baseline: model.baseline, size: model.size });
  pick(byId('baseline'), model.baselines.map((name) => ({ value: name, text: name, selected: name === model.baseline })));
  pick(byId('size'), model.sizes.map((name) => ({ value: name, text: name[0].toUpperCase() + name.slice(1), selected: name === model.size })));
  byId('size-label').hidden = model.sizes.length < 2;
  document.title = `${model.verdict.drifted ? '▲ ' : ''}${model.model} · driftline`;
  byId('verdict').className = model.verdict.drifted ? 'drifted' : '';
  if (model.bins.length === 0) {
    empty(`No events of ${model.model} yet`, 'Its baseline is published; reload the page when events are. For an example with events:', 'driftline quickstart --sink fiddler');
    byId('pickers').hidden = false;
    return;
  }
  show('content');
  byId('verdict').replaceChildren(h('h2', { id: 'verdict-text' }, sign(model.verdict.drifted), model.verdict.text), windows(model));
  alerts(byId('alerts'), model);
  numbers(byId('table'), model);
  byId('about').textContent = [source.about, ...model.damaged].join(' ');
  const at = model.bins.findIndex((bin) => bin.start === state.at);
  await choose(at >= 0 ? at : model.bins.length - 1);
}

/** Makes bin `i` the chosen one. */
async function choose(i) {
  const model = shown;
  const bin = model.bins[i];
  state.at = bin.start;
  remember();
  timeline.show(model, state.statistic, i);
  byId('legend').replaceChildren(...legend(state.statistic, model));
  markRow(byId('table'), i);
  byId('chosen-title').textContent = binName(bin.start, model.size);
  const facts = [bin.windows.join(', '), plural(bin.rows, 'event'),
    ...(bin.jsd === null ? [] : [`JSD ${number(bin.jsd)}, ${times(bin.jsd, bin.noise_floor)} the noise floor of ${number(bin.noise_floor)}`, `p ${probability(bin.p_value)}`, `PSI ${number(bin.psi)}`]),
    ...(bin.accuracy === null ? [] : [`accuracy ${percent(bin.accuracy)}`])];
  byId('chosen-facts').replaceChildren(bin.jsd === null ? '' : verdictOf(bin.drifted), ` · ${facts.join(' · ')}`);
  redraw = () => clusters(byId('clusters'), model, bin);
  redraw();
  const wanted = { project: model.project, model: model.model, baseline: model.baseline, size: model.size, start: bin.start };
  const current = () => shown === model && state.at === bin.start;
  // Holding an arrow key passes over bins without asking for each.
  if (!source.local) await new Promise((done) => setTimeout(done, 120));
  if (!current()) return;
  await attempt(async () => {
    const detail = await source.bin(wanted);
    if (!current()) return;
    show('content');
    redraw = () => {
      clusters(byId('clusters'), model, bin);
      map(byId('map'), model, detail, bin);
    };
    redraw();
    images(byId('images'), model, detail);
  });
}

for (const name of ['baseline', 'size']) {
  byId(name).addEventListener('change', (event) => {
    state[name] = event.target.value;
    attempt(load);
  });
}
byId('statistic').addEventListener('change', (event) => {
  state.statistic = event.target.value;
  remember();
  timeline.show(shown, state.statistic, shown.bins.findIndex((bin) => bin.start === state.at));
  byId('legend').replaceChildren(...legend(state.statistic, shown));
});
byId('pickers').addEventListener('submit', (event) => event.preventDefault());
byId('csv').addEventListener('click', () => download(shown));

addEventListener('resize', () => {
  if (timeline.bins) timeline.draw();
  redraw();
});

token.get();
recall();
document.querySelector(`[name=statistic][value=${state.statistic}]`).checked = true;
attempt(start);
