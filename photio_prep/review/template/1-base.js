// What all parts share. Nothing here ever builds HTML from text: names and server texts are hostile.
const page = JSON.parse(document.getElementById("data").textContent);
const rows = page.rows.map((values) => {
  const row = Object.fromEntries(values.map((value, at) => [page.names[at], page.own[at] ? value : page.shared[value]]));
  for (const [name, url] of Object.entries(row.pictures)) {
    if (url.startsWith("~/")) row.pictures[name] = row.here + url.slice(2);
  }
  return row;
});
const $ = (id) => document.getElementById(id);

/** An element with properties, its classes, and children (elements or texts). */
function make(tag, classes = "", properties = {}, ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A picture; `other` is shown where `url` has gone, or is no longer a picture of the size that it had. */
function picture(url, alt, { classes = "", other = "", size = null } = {}) {
  const made = make("img", classes, { alt, decoding: "async", draggable: false });
  const instead = () => {
    if (other && made.getAttribute("src") !== other) made.src = other;
  };
  made.addEventListener("error", instead);
  if (size) {
    made.addEventListener("load", () => {
      if (made.getAttribute("src") === url && (made.naturalWidth !== size[0] || made.naturalHeight !== size[1])) instead();
    });
  }
  made.src = url || other;
  return made;
}

/** Styles go through the object model: the page's policy allows no style attributes in markup. */
function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

const store = {
  name: (what) => `photio-prep ${what} ${what === "decisions" ? location.pathname : ""}`,
  get(what, fallback) {
    try {
      return JSON.parse(localStorage.getItem(this.name(what))) ?? fallback;
    } catch {
      return fallback;
    }
  },
  set(what, value) {
    try {
      localStorage.setItem(this.name(what), JSON.stringify(value));
    } catch {
      // Forbidden or full: the page still works, it only forgets.
    }
  },
};

let toasting = 0;
function say(text) {
  $("toast").textContent = text;
  $("toast").classList.add("up");
  clearTimeout(toasting);
  toasting = setTimeout(() => $("toast").classList.remove("up"), 2600);
}

const KINDS = {
  finished: "good", answered: "news", claimed: "news", planned: "", unknown: "bad", "paid unusable": "bad",
  rejected: "bad", damaged: "bad", "given up": "warn",
};

function badge(text, kind = "") {
  return make("span", `badge ${kind}`, {}, text);
}

/** The state and flags of a row, as badges; the few first where there is little room. */
function badges(row, most = 99) {
  const found = [badge(row.state, KINDS[row.state] ?? "")];
  const kinds = Object.fromEntries(row.reasons.map((each) => [each.name, each.verdict === "stop" ? "bad" : "warn"]));
  for (const flag of row.flags) {
    if (flag !== "sandbox" && flag !== "damaged") found.push(badge(flag === "doubtful" ? `doubtful ${row.risk}` : flag.replaceAll("_", " "), kinds[flag] ?? "warn"));
  }
  const kept = found.length > most ? [...found.slice(0, most), badge(`+${found.length - most}`)] : found;
  return row.sandbox ? [...kept, badge("sandbox", "sandbox")] : kept;
}

/** A name whose folders stand back behind it; where there is little room, long ones are left out. */
function named(name, { short = false } = {}) {
  const cut = name.lastIndexOf("/") + 1;
  return make("bdi", "", {}, make("span", "folders", {}, short && cut > 12 ? "…/" : name.slice(0, cut)), name.slice(cut));
}
