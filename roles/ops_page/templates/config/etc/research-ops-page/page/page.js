// What Alertmanager says, as two tables. Its own page is not in Debian's package.
const fill = async (id, path, none, columns, order, grouped = (rows) => rows) => {
  const place = document.getElementById(id);
  try {
    const answer = await fetch(location.origin + path);
    if (!answer.ok) throw new Error(`Alertmanager answers ${answer.status}`);
    const rows = grouped((await answer.json()).filter((row) => row.status.state !== "expired").sort(order));
    if (!rows.length) { place.textContent = none; return; }
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const [name] of columns) head.append(Object.assign(document.createElement("th"), { textContent: name }));
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const [, text, look] of columns) {
        Object.assign(line.insertCell(), { textContent: text(row), className: look ? look(row) : "" });
      }
    }
    place.replaceChildren(table);
  } catch (error) {
    place.textContent = `not known: ${error.message}`;
  }
};
const ranks = ["page", "warning", "info"];
const rank = (alert) => (ranks.indexOf(alert.labels.severity) + ranks.length + 1) % (ranks.length + 1);
// One row for an alert, whichever hosts have it: the first of them, with the names of all.
const byAlert = (rows) => {
  const groups = Map.groupBy(rows, (a) => `${a.labels.alertname} ${a.status.state}`);
  return [...groups.values()].map((each) => ({
    ...each[0],
    hosts: [...new Set(each.map((a) => a.labels.host).filter(Boolean))].sort().join(", "),
    more: each.length > 1 ? ` (and ${each.length - 1} more)` : "",
  }));
};
const when = (text) => new Date(text).toLocaleString();
const refresh = () => {
  fill("active", "/alerts/api/v2/alerts", "none is active", [
    ["Alert", (a) => a.labels.alertname, (a) => a.labels.severity],
    ["Host", (a) => a.hosts],
    ["What", (a) => (a.annotations.summary ?? "") + a.more],
    ["Since", (a) => when(a.startsAt)],
    ["", (a) => (a.status.state === "suppressed" ? "silenced" : ""), () => "quiet"],
    // Of docs/runbooks/alerts in a checkout, or wherever prometheus_runbook_url says.
    ["Runbook", (a) => (a.annotations.runbook ?? "").split("/").pop()],
  ], (a, b) => rank(a) - rank(b) || b.startsAt.localeCompare(a.startsAt), byAlert);
  fill("silences", "/alerts/api/v2/silences", "there is none", [
    ["What", (s) => s.matchers.map((m) => `${m.name}${m.isEqual ? "=" : "!="}${m.value}`).join(", ")],
    ["Why", (s) => s.comment],
    ["By", (s) => s.createdBy],
    ["Until", (s) => when(s.endsAt)],
  ], (a, b) => a.endsAt.localeCompare(b.endsAt));
};
refresh();
setInterval(refresh, 30000);
document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = document.getElementById("id").value.trim().replaceAll('"', "");
  // Words alone are looked for in messages, where the proxies and OpenSearch have it; the application has a field.
  const query = `request_id:="${id}" or "${id}"`;
  location.href = `/select/vmui/#/?query=${encodeURIComponent(query)}&g0.relative_time=last_7_days`;
});
