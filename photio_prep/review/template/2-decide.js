// The user's decisions, by the full key of the order: they hold wherever the folder is moved.
const known = new Set(rows.map((row) => row.key).filter(Boolean));
const decisions = new Map(Object.entries(store.get("decisions", {})).filter(([key]) => known.has(key)));

const decided = (row) => decisions.get(row.key) ?? "none";

function decide(row, word) {
  if (!row?.key) return;
  if (word === "none") decisions.delete(row.key);
  else decisions.set(row.key, word);
  store.set("decisions", Object.fromEntries(decisions));
  tally();
}

function tally() {
  const count = (word) => [...decisions.values()].filter((each) => each === word).length;
  const approved = count("approved"), rejected = count("rejected");
  const parts = [[approved, "approved"], [rejected, "rejected"], [known.size - approved - rejected, "undecided"]];
  $("tally").replaceChildren(...parts.flatMap(([number, word], at) => [at ? ", " : "", make("b", "", {}, `${number}`), ` ${word}`]));
}

/** What `generate --approved` reads. */
function exported() {
  const keys = (word) => [...decisions].filter(([, each]) => each === word).map(([key]) => key).sort();
  return `${JSON.stringify({ schema: 1, approved: keys("approved"), rejected: keys("rejected") }, null, 1)}\n`;
}

function save() {
  const url = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
  make("a", "", { href: url, download: "decisions.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  say("decisions.json saved. Pay for what is approved: photio-prep generate DIR --approved decisions.json");
}

async function copy() {
  try {
    await navigator.clipboard.writeText(exported());
  } catch {
    const area = make("textarea", "", { value: exported() });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied. Paste it into a file, for generate --approved");
}
