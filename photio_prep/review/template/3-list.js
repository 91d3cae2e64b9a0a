// The list: only the rows that can be seen exist, so that ten thousand cost as little as ten.
const HEIGHT = 76, AROUND = 6;
const list = $("list"), tall = $("tall");
const living = new Map();
let found = rows, chosen = 0;

const texts = [];

/** All that a search looks through. */
function text(row) {
  return (texts[row.n] ??= [row.name, row.description, row.state, row.why, row.folder, row.model, `#${row.n}`, ...row.flags, ...row.reasons.map((each) => each.text)]
    .join("\n").toLowerCase());
}

const SORTS = {
  worst: (a, b) => a.n - b.n,
  name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.n - b.n),
  new: (a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : a.n - b.n),
};

/** Take what the filters let through; the row that was looked at stays chosen where it still is among them. */
function filter() {
  const before = found[chosen];
  const wanted = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const state = $("by-state").value, flag = $("by-flag").value, word = $("by-word").value;
  found = rows.filter((row) =>
    (!state || row.state === state) && (!flag || row.flags.includes(flag)) && (!word || decided(row) === word) &&
    wanted.every((each) => text(row).includes(each))).sort(SORTS[$("sort").value]);
  chosen = Math.max(found.indexOf(before), 0);
  $("shown").textContent = found.length === rows.length ? `${rows.length} photos` : `${found.length} of ${rows.length} photos`;
  refresh();
  if (found[chosen] !== before) choose(chosen);
}

/** Draw the list anew. */
function refresh() {
  for (const each of living.values()) each.remove();
  living.clear();
  list.querySelector(".nothing")?.remove();
  styled(tall, { height: `${found.length * HEIGHT}px` });
  if (!found.length) list.append(make("p", "nothing", {}, "Nothing matches. Clear the search or a filter."));
  draw();
}

function draw() {
  const first = Math.max(Math.floor(list.scrollTop / HEIGHT) - AROUND, 0);
  const last = Math.min(Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + AROUND, found.length);
  for (const [at, element] of living) {
    if (at < first || at >= last) {
      element.remove();
      living.delete(at);
    }
  }
  for (let at = first; at < last; at++) {
    if (!living.has(at)) {
      living.set(at, entry(found[at], at));
      list.append(living.get(at));
    }
  }
  if (living.has(chosen)) list.setAttribute("aria-activedescendant", `row-${chosen}`);
  else list.removeAttribute("aria-activedescendant");
}

const MARKS = { approved: "✓", rejected: "✕", none: "" };

function entry(row, at) {
  const made = make("div", "row", { id: `row-${at}`, role: "option" });
  const told = [row.state, ...row.flags, decided(row) === "none" ? "" : decided(row)].filter(Boolean).join(", ");
  made.setAttribute("aria-label", `${row.n}: ${row.name}: ${told}`);
  made.setAttribute("aria-selected", String(at === chosen));
  made.setAttribute("aria-posinset", at + 1);
  made.setAttribute("aria-setsize", found.length);
  styled(made, { top: `${at * HEIGHT}px` });
  const name = make("div", "name", { title: row.name }, make("span", "number", {}, `${row.n}`), named(row.name, { short: true }));
  made.append(
    row.pictures.thumb ? picture(row.pictures.thumb, "", { classes: "pair" }) : make("div", "pair"),
    make("div", "", {}, name, make("div", "marks", {}, ...badges(row, 3))),
    make("div", `mark ${decided(row)}`, {}, MARKS[decided(row)]),
  );
  made.addEventListener("click", () => {
    choose(at);
    document.body.classList.add("opened");
  });
  return made;
}

/** Redraw one row: its decision or its being chosen has changed. */
function redraw(at) {
  if (!living.has(at)) return;
  const made = entry(found[at], at);
  living.get(at).replaceWith(made);
  living.set(at, made);
}

/** Look at the row at this place of the list. */
function choose(at) {
  const before = chosen;
  chosen = Math.min(Math.max(at, 0), found.length - 1);
  if (before !== chosen) redraw(before);
  redraw(chosen);
  const top = chosen * HEIGHT, room = list.clientHeight;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + HEIGHT > list.scrollTop + room) list.scrollTop = top + HEIGHT - room;
  draw();
  show(found[chosen]);
}

function judge(word, { onward }) {
  const row = found[chosen];
  if (!row?.key) return;
  decide(row, decided(row) === word ? "none" : word);
  redraw(chosen);
  if (onward && decided(row) === word && chosen + 1 < found.length) choose(chosen + 1);
  else buttons(row);
}

function approveAll() {
  const open = found.filter((row) => row.key && decided(row) === "none");
  for (const row of open) decisions.set(row.key, "approved");
  store.set("decisions", Object.fromEntries(decisions));
  tally();
  refresh();
  buttons(found[chosen]);
  say(`${open.length} approved; what was decided before is as it was`);
}

function options(select, any, counts) {
  select.replaceChildren(new Option(any, ""), ...counts.map(([name, count]) => new Option(`${name.replaceAll("_", " ")} (${count})`, name)));
}

function counted(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}
