// Where the numbers come from: out of this page, or from the server that sent it.

/** An answer of the server that is no success. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** A page that carries its numbers and pictures. */
function inlined(data) {
  const same = (a, b) => a.project === b.project && a.model === b.model;
  const find = (wanted) => data.models.find((one) => same(one, wanted)
    && (!wanted.baseline || one.baseline === wanted.baseline)) ?? data.models.find((one) => same(one, wanted));
  return {
    local: true,
    about: data.about,
    models: async () => {
      const first = (one, i) => data.models.findIndex((other) => same(one, other)) === i;
      return data.models.filter(first).map(({ project, model }) => ({ project, model }));
    },
    model: async (wanted) => find(wanted),
    bin: async (wanted) => {
      const model = find(wanted);
      return model.details[model.bins.findIndex((bin) => bin.start === wanted.start)];
    },
    picture: async (url) => (Object.hasOwn(data.pictures, url) ? data.pictures[url] : null),
  };
}

/** A page whose numbers a server has; it wants the token with every request. */
function remote() {
  const pictures = new Map();
  async function get(path, query) {
    let answer;
    try {
      answer = await fetch(`ui/${path}?${new URLSearchParams(query)}`, {
        headers: { Authorization: `Bearer ${token.get() ?? ''}` }, cache: 'no-store',
      });
    } catch {
      throw new Refused(0, 'The server does not answer. Is `driftline serve` running?');
    }
    if (answer.ok) return answer;
    const body = await answer.json().catch(() => null);
    throw new Refused(answer.status, body?.error?.message ?? `The server answered ${answer.status}.`);
  }
  const json = async (path, query) => (await get(path, query)).json();
  return {
    local: false,
    about: '',
    models: () => json('models', {}),
    model: (wanted) => json('model', wanted),
    bin: (wanted) => json('bin', wanted),
    /** An address for `img`, or null where the server has no picture. The latest few hundred are kept. */
    picture(url) {
      if (!pictures.has(url)) {
        if (pictures.size > 400) {
          pictures.values().next().value.then((old) => old && URL.revokeObjectURL(old));
          pictures.delete(pictures.keys().next().value);
        }
        pictures.set(url, get('image', { url }).then(
          async (answer) => URL.createObjectURL(await answer.blob()), () => null,
        ));
      }
      return pictures.get(url);
    },
  };
}

/** The token: from `#token=`, which no server sees, then kept in this tab. */
const token = {
  key: 'driftline-token',
  get() {
    const here = new URLSearchParams(location.hash.slice(1));
    if (here.has('token')) {
      this.set(here.get('token'));
      here.delete('token');
      history.replaceState(null, '', `#${here}`);
    }
    return sessionStorage.getItem(this.key);
  },
  set: (value) => sessionStorage.setItem(token.key, value),
  forget: () => sessionStorage.removeItem(token.key),
};

const carried = document.getElementById('data');
const source = carried ? inlined(JSON.parse(carried.textContent)) : remote();
