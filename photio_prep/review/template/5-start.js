// Buttons, keys, and the first look.
function turn(number) {
  view = number;
  seen.drift = false;
  show(found[chosen]);
}

function theme() {
  const dark = (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  store.set("theme", dark ? "light" : "dark");
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

function nudge(by) {
  const slide = stage.querySelector(".slide");
  if (!slide) return false;
  slide.value = Number(slide.value) + by;
  slide.dispatchEvent(new Event("input"));
  return true;
}

const KEYS = {
  j: () => choose(chosen + 1),
  k: () => choose(chosen - 1),
  ArrowDown: () => choose(chosen + 1),
  ArrowUp: () => choose(chosen - 1),
  ArrowLeft: () => nudge(-5),
  ArrowRight: () => nudge(5),
  Home: () => choose(0),
  End: () => choose(found.length - 1),
  PageDown: () => choose(chosen + Math.max(Math.floor(list.clientHeight / HEIGHT), 1)),
  PageUp: () => choose(chosen - Math.max(Math.floor(list.clientHeight / HEIGHT), 1)),
  a: () => judge("approved", { onward: $("onward").checked }),
  x: () => judge("rejected", { onward: $("onward").checked }),
  u: () => {
    decide(found[chosen], "none");
    redraw(chosen);
    buttons(found[chosen]);
  },
  1: () => turn(1),
  2: () => turn(2),
  3: () => turn(3),
  4: () => turn(4),
  o: () => flip("outline"),
  b: () => ground(GROUNDS[(GROUNDS.indexOf(seen.ground) + 1) % GROUNDS.length]),
  z: () => flip("full"),
  d: () => found[chosen]?.pictures.drift && flip("drift"),
  s: () => save(),
  "/": () => $("search").focus(),
  "?": () => $("keys").showModal(),
};
const MOVING = ["ArrowDown", "ArrowUp", "Home", "End", "PageDown", "PageUp"];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const at = event.target;
  if (event.key === "Escape") {
    if (at === $("search")) list.focus();
    else document.body.classList.remove("opened");
    return;
  }
  const typing = at.matches("input[type=search], select, textarea");
  if (typing || !(event.key in KEYS)) return;
  // The keys that scroll and slide mean the list, unless something else has the focus that they mean more to.
  if (MOVING.includes(event.key) && at !== list && at !== document.body) return;
  if (event.key.startsWith("Arrow") && at.matches(".slide, [role=tab]")) return;
  event.preventDefault();
  KEYS[event.key]();
});

$("tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  turn(((view - 1 + step + 4) % 4) + 1);
  TABS[view - 1].focus();
});
TABS.forEach((tab, at) => tab.addEventListener("click", () => turn(at + 1)));
for (const id of ["by-state", "by-flag", "by-word", "sort"]) $(id).addEventListener("change", filter);
$("search").addEventListener("input", filter);
$("approve").addEventListener("click", () => judge("approved", { onward: $("onward").checked }));
$("reject").addEventListener("click", () => judge("rejected", { onward: $("onward").checked }));
$("before").addEventListener("click", () => choose(chosen - 1));
$("next").addEventListener("click", () => choose(chosen + 1));
$("all").addEventListener("click", approveAll);
$("save").addEventListener("click", save);
$("copy").addEventListener("click", copy);
$("theme").addEventListener("click", theme);
$("help").addEventListener("click", () => $("keys").showModal());
$("close").addEventListener("click", () => $("keys").close());
$("onward").addEventListener("change", () => store.set("onward", $("onward").checked));
$("back").addEventListener("click", () => {
  document.body.classList.remove("opened");
  draw();
  list.focus();
});
let drawing = 0;
const redrawn = () => {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    draw();
  });
};
list.addEventListener("scroll", redrawn, { passive: true });
addEventListener("resize", redrawn);

const kept = store.get("theme", "");
if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
$("onward").checked = store.get("onward", true);
$("place").replaceChildren(make("bdi", "", {}, page.place));
$("totals").textContent = page.totals;
options($("by-state"), "Any state", counted(rows.map((row) => row.state)));
options($("by-flag"), "Any flag", counted(rows.flatMap((row) => row.flags)));
tally();
filter();
choose(0);
