"use strict";
// Shows /status.json and asks for it again every few seconds. Every text is in this one table.

const TEXTS = {
  // [English, Japanese]
  question: ["Can I trust today’s predictions?", "今日の予測は信頼できますか？"],
  YES: ["YES", "はい"],
  WATCH: ["WATCH", "要注意"],
  NO: ["NO", "いいえ"],
  NOT_MEASURED: ["NOT MEASURED", "未測定"],

  NORMAL: [
    "The error of model {model} is in its normal range: {value} times normal over the last {prompts} prompts.",
    "モデル {model} の予測誤差は正常な範囲です。直近 {prompts} 件で通常時の {value} 倍です。",
  ],
  COVARIATES_MOVED: [
    "The inputs of model {model} have moved, but its error has not grown.",
    "モデル {model} への入力の傾向が変わりましたが、予測誤差は増えていません。",
  ],
  HARM: [
    "The error of model {model} is at least {value} times normal; the line is {limit}.",
    "モデル {model} の予測誤差が、通常時の少なくとも {value} 倍に悪化しています（基準は {limit} 倍）。",
  ],
  HARM_HELD: [
    "The error of model {model} is still at least {value} times normal; this ends below {leave}.",
    "モデル {model} の予測誤差は、なお通常時の少なくとも {value} 倍です（{leave} 倍を下回れば解除に向かいます）。",
  ],
  HARM_CLEARING: [
    "The error of model {model} has calmed down; {minutes} more minutes of calm are needed.",
    "モデル {model} の予測誤差は落ち着きました。この状態があと {minutes} 分続けば解除します。",
  ],
  HARM_WARNING: [
    "The error of model {model} has stayed above {limit} times normal; it is {value} times now.",
    "モデル {model} の予測誤差が、通常時の {limit} 倍を超えた状態が続いています（現在 {value} 倍）。",
  ],
  SHORT_CONTEXTS: [
    "Prompts of model {model} bring fewer examples than usual; that alone makes errors {value} times normal.",
    "モデル {model} に渡される事例が普段より少なく、それだけで予測誤差が通常時の {value} 倍になっています。",
  ],
  CLIPPED_PROMPTS: [
    "{percent} of the prompts of model {model} have errors far beyond the usual; look for a few bad rows.",
    "モデル {model} へのプロンプトの {percent} で誤差が極端に大きくなっています。異常な行がないか確認してください。",
  ],
  WARMING: [
    "Collecting enough prompts for a first answer; {value} seen so far.",
    "最初の判定に必要な数のプロンプトを集めています（これまでに {value} 件）。",
  ],
  NO_REFERENCE: [
    "Still learning what is normal; {value} prompts seen so far.",
    "通常時の基準を学習しています（これまでに {value} 件）。",
  ],
  NO_TRAFFIC: ["No prompt has been seen since the start.", "起動してから、まだプロンプトを受け取っていません。"],
  NO_RECENT_TRAFFIC: ["No prompt has been seen for six hours.", "6 時間以上プロンプトを受け取っていません。"],
  NO_WORKER: ["No server process answers at the moment.", "現在、応答しているサーバープロセスがありません。"],
  NO_MONITOR: ["The models served here are not watched.", "提供中のモデルは監視されていません。"],

  adviceYES: ["Nothing needs to be done.", "対応は不要です。"],
  adviceWATCH: [
    "Use predictions with care, and look at what moved.",
    "予測は慎重に利用し、何が変化したかを確認してください。",
  ],
  adviceNO: [
    "Do not rely on these predictions; follow the runbook.",
    "この予測には頼らず、手順書に従って対応してください。",
  ],
  adviceNOT_MEASURED: [
    "Predictions are answered; how good they are is not known yet.",
    "予測は提供していますが、その良し悪しはまだ判定できません。",
  ],
  runbook: ["Runbook", "手順書"],
  since: ["Since {time}", "{time} から"],
  updated: ["Live, updated {time}", "自動更新中（最終更新 {time}）"],
  connecting: ["Connecting …", "接続しています…"],
  stale: [
    "The server does not answer. What is shown is the state of {time}, not of now.",
    "サーバーから応答がありません。表示は {time} 時点のもので、現在の状態ではありません。",
  ],
  unreachable: ["The server does not answer.", "サーバーから応答がありません。"],

  score: ["Harm score", "悪化スコア"],
  scoreFact: ["alarm at {line}", "{line} で警報"],
  scoreNote: [
    "Lower bound (95%) of the error, divided by twice the normal error. At 1.0 somebody is called.",
    "予測誤差を控えめ（95% 下限）に見積もり、通常時の 2 倍で割った値です。1.0 で担当者に通知します。",
  ],
  alarmLine: ["alarm 1.0", "警報 1.0"],
  error: ["Error against normal", "通常時と比べた誤差"],
  errorFact: ["1 is normal", "1 が通常"],
  errorNote: ["Squared error over its reference: 1 is normal.", "二乗誤差を通常時の値で割ったもので、1 が通常です。"],
  predicted: ["Predicted, without labels", "予測される誤差（正解なしで推定）"],
  leaveOneOut: ["Leave-one-out, measured on labels", "一つ抜き誤差（正解値で実測）"],
  ridge: ["Ridge regression on the same prompts", "同じプロンプトでのリッジ回帰（比較用）"],
  calls: ["Calls per second", "毎秒の呼び出し数"],
  callsFact: ["this process", "このプロセス"],
  callsFactAll: ["of all workers", "全ワーカーの合計"],
  callsNote: ["Messages of streams count as calls.", "ストリームは 1 メッセージを 1 回と数えます。"],
  p99: ["Response time, 99th percentile", "応答時間（99 パーセンタイル）"],
  p99Fact: ["99% answered within", "応答時間（99%）"],
  p99FactNote: ["inside the server", "サーバー内の処理時間"],
  p99Note: ["Milliseconds inside the server, streams left out.", "サーバー内の処理時間（ミリ秒）。ストリームは除きます。"],
  milliseconds: ["{value} ms", "{value} ms"],
  evaluation: ["Last evaluation", "最後の再評価"],
  evaluationNone: ["none yet", "未実施"],
  evaluationFact: ["of the model on fresh data", "新しいデータでのモデル検証"],
  evaluated: ["Last evaluation, {time}: {sentence}", "最後の再評価（{time}）: {sentence}"],
  report: ["Report", "レポート"],
  chart: ["{title}: now {now}, highest {most}", "{title}: 現在 {now}、最大 {most}"],
  noPoints: ["{title}: no measurement yet", "{title}: まだ測定値がありません"],
  unmeasured: ["No measurement yet.", "まだ測定値がありません。"],

  moved: ["What moved", "何が変化したか"],
  movedNone: ["Nothing to report.", "報告すべき変化はありません。"],
  movedKind: ["Kind of change: {kind}.", "変化の種類: {kind}。"],
  column: ["Column", "列"],
  distance: ["Distance, s.d.", "ずれ（標準偏差）"],
  before: ["Normal mean ± s.d.", "通常時の平均 ± 標準偏差"],
  after: ["Now", "現在"],
  harmShare: ["Share of harm", "悪化への寄与"],
  directions: ["Most harmful directions: {list}.", "悪化への寄与が大きい方向: {list}。"],
  direction: ["no. {place} ({share})", "第 {place} 方向（{share}）"],
  kind_mean: ["mean", "平均"],
  kind_scale: ["spread", "ばらつき"],
  kind_correlation: ["correlation", "相関"],
  kind_context_length: ["number of examples", "事例の数"],
  kind_query: ["queries", "クエリ"],
  kind_task: ["how labels follow the columns", "列とラベルの関係"],
  kind_tail: ["outliers", "外れ値"],
  sign_BAD_ROWS: ["A few sources send wild rows.", "一部の送信元が異常な行を送っています。"],
  sign_HEAVY_TAILS: ["Single rows lie far out.", "極端に離れた行が混ざっています。"],
  sign_FEW_EXAMPLES: [
    "Prompts bring fewer or less varied examples.",
    "事例が少ないか、偏っています。",
  ],
  sign_COVARIATE: [
    "The columns moved to where this model answers badly.",
    "列の分布が、このモデルの苦手な範囲に移りました。",
  ],
  sign_QUERY_ONLY: [
    "Queries lie outside the examples sent with them.",
    "クエリが、一緒に送られた事例の範囲から外れています。",
  ],
  sign_RELATION: [
    "Labels follow the columns in another way: look for a wrong column.",
    "列とラベルの関係が変わりました。誤った列がないか確認してください。",
  ],
  sign_NOISE: [
    "Labels are noisier, or depend on something that is no column.",
    "ラベルのばらつきが増えたか、列にない要因に左右されています。",
  ],
  sign_TARGET_SCALE: ["Labels are on another scale.", "ラベルの尺度が変わりました。"],
  sign_SIGNAL_SHRANK: ["Labels vary less than before.", "ラベルの変動が以前より小さくなりました。"],

  models: ["Models", "モデル"],
  model: ["Model", "モデル"],
  version: ["Version", "バージョン"],
  kind: ["Kind", "種類"],
  state: ["State", "状態"],
  prompts: ["Prompts", "件数"],
  WATCHING: ["watching", "監視中"],
  WARMING_UP: ["warming up", "準備中"],
  UNWATCHED: ["not watched", "監視対象外"],
  workers: ["Workers", "ワーカー"],
  workersNote: [
    "Each is a server process of its own; the answer above is the worst of theirs and of all together.",
    "それぞれ独立したサーバープロセスです。上の答えは、各ワーカーと全体の合計のうち最も悪いものです。",
  ],
  worker: ["Worker", "ワーカー"],
  workerAnswer: ["Answer", "答え"],
  workerAnswerKept: ["{answer} (kept from the process before)", "{answer}（前のプロセスの答えを保持）"],
  workerScore: ["Score", "スコア"],
  restarts: ["Restarts", "再起動"],
  restartsWhy: ["{count} (last: {why})", "{count}（最後: {why}）"],
  workerDown: ["not answering", "応答なし"],
  skipped: ["Prompts left out of the statistics: {list}.", "統計から除いたプロンプト: {list}。"],
  skip_not_finite: ["not finite", "非有限値"],
  skip_few_examples: ["too few examples", "事例不足"],
  skip_other_mode: ["answered by a simpler method", "簡易な方法で回答"],
  skip_duplicate: ["repeated", "重複"],
  skip_over_budget: ["over the monitor's budget", "監視の処理上限超過"],
  skip_queue_full: ["queue full", "待ち行列の満杯"],
  skip_schema: ["other columns", "列の不一致"],
  skip_tenant_share: ["one tenant's excess", "特定テナントの超過分"],
  charts: ["Charts:", "グラフ:"],
  separator: [", ", "、"],
};

const REFRESH_MS = 5000;
const SHORTEST_SECONDS = 900; // of the time axis: a fresh server is not a dot in six empty hours
const LANG = document.documentElement.lang;
const LANGUAGE = LANG === "ja" ? 1 : 0;
const HOUR = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

const find = (id) => document.getElementById(id);
const parameters = () => new URLSearchParams(location.search);
const text = (key, values = {}) =>
  TEXTS[key][LANGUAGE].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const label = (kind, code) => (TEXTS[`${kind}_${code}`] ? text(`${kind}_${code}`) : code);
const isKnown = (value) => value !== null && value !== undefined;
const number = (value, digits = 2) =>
  isKnown(value)
    ? value.toLocaleString(LANG, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    : "–";
const percent = (value) =>
  isKnown(value) ? value.toLocaleString(LANG, { style: "percent" }) : "–";
const rate = (value) => number(value, value < 10 ? 1 : 0);
const inMilliseconds = (seconds) => (isKnown(seconds) ? seconds * 1000 : null);
const milliseconds = (seconds) =>
  isKnown(seconds) ? text("milliseconds", { value: number(seconds * 1000, seconds < 0.01 ? 1 : 0) }) : "–";
const clock = (seconds, more = {}) =>
  new Date(seconds * 1000).toLocaleTimeString(LANG, { ...HOUR, ...more });
const day = (seconds) =>
  new Date(seconds * 1000).toLocaleString(LANG, { month: "short", day: "numeric", ...HOUR });

// Writes only what changed, so that a screen reader is not told the same again.
function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function make(tag, words = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = words;
  element.className = className;
  return element;
}

function sentence(reason) {
  let code = reason.code;
  if (code === "HARM_CRITICAL" || code === "HARM_MAJOR") {
    const isCalm = isKnown(reason.clears_in_seconds);
    code = isCalm ? "HARM_CLEARING" : reason.value > reason.limit ? "HARM" : "HARM_HELD";
  }
  const isCount = code === "WARMING" || code === "NO_REFERENCE";
  return text(code, {
    model: reason.model,
    value: number(reason.value, isCount ? 0 : reason.value < 2 ? 2 : 1),
    limit: number(reason.limit, reason.limit % 0.5 ? 2 : 1),
    leave: number(reason.leave),
    percent: percent(reason.value),
    prompts: reason.prompts,
    minutes: Math.ceil((reason.clears_in_seconds ?? 0) / 60),
  });
}

function showAnswer(status) {
  find("answer").dataset.answer = status.answer;
  document.title = `${text(status.answer)} · sonoba`;
  write(find("word"), text(status.answer));
  write(find("reason"), sentence(status.reason));
  write(find("advice"), text(`advice${status.answer}`));
  const { runbook } = status.reason;
  find("runbook").hidden = !runbook;
  write(find("runbook").lastElementChild, `deploy/runbooks/${runbook}.md`);
  const isToday = status.now - status.since < 72000;
  write(find("since"), text("since", { time: (isToday ? clock : day)(status.since) }));
}

// Says what the last re-evaluation of the model shown concluded, with its report where there is one.
function showEvaluation({ last_evaluation: evaluation }) {
  const line = find("evaluated");
  line.hidden = !evaluation;
  if (!evaluation) return;
  const [words, link] = line.children;
  const sentence = evaluation.sentence[LANG] ?? evaluation.verdict;
  write(words, text("evaluated", { time: day(evaluation.time), sentence }));
  link.hidden = !/^http/.test(evaluation.report_url); // never a script
  if (!link.hidden) link.href = `${evaluation.report_url}?lang=${LANG}`;
}

function showFacts(status) {
  const last = Object.fromEntries(Object.entries(status.series).map(([k, v]) => [k, v.at(-1)]));
  const evaluation = status.last_evaluation;
  const ratios = [last.predicted_error, last.leave_one_out].filter(isKnown);
  const facts = [
    ["score", number(status.score), text("scoreFact", { line: number(status.lines.critical, 1) })],
    ["error", ratios.length ? `× ${number(Math.max(...ratios))}` : "–", text("errorFact")],
    ["calls", rate(last.calls_per_second), text(status.workers ? "callsFactAll" : "callsFact")],
    ["p99Fact", milliseconds(last.p99_seconds), text("p99FactNote")],
    [
      "evaluation",
      evaluation ? day(evaluation.time) : text("evaluationNone"),
      evaluation?.words[LANG] ?? text("evaluationFact"),
    ],
  ];
  find("facts").replaceChildren(
    ...facts.map(([name, value, note]) => {
      const group = make("div");
      group.append(make("dt", text(name)), make("dd", value), make("dd", note));
      return group;
    }),
  );
}

function fill(table, heads, rows) {
  const head = make("tr");
  head.append(
    ...heads.map(([words, className]) => {
      const cell = make("th", words, className);
      cell.scope = "col";
      return cell;
    }),
  );
  const lines = rows.map((cells) => {
    const line = make("tr");
    cells.forEach((cell, place) => {
      const td = make("td", typeof cell === "string" ? cell : "", heads[place][1]);
      if (typeof cell !== "string") td.append(...cell);
      line.append(td);
    });
    return line;
  });
  const focused = table.contains(document.activeElement) && document.activeElement.href;
  table.replaceChildren(head, ...lines);
  if (focused) [...table.querySelectorAll("a")].find((link) => link.href === focused)?.focus();
}

function share(value) {
  const [bar, inner] = [make("span", "", "bar"), make("span")];
  inner.style.width = `${100 * Math.min(1, Math.max(0, value ?? 0))}%`;
  bar.append(inner);
  bar.ariaHidden = "true";
  return [percent(value), bar];
}

function showMoved(status) {
  const { moved, directions, shift_kind: kind, signature } = status;
  const sign = `sign_${signature}` in TEXTS ? [text(`sign_${signature}`)] : [];
  const change = kind && signature !== "QUIET" ? [text("movedKind", { kind: label("kind", kind) })] : [];
  const note = [...sign, ...change].join(" ");
  const none = text(isKnown(status.score) ? "movedNone" : "unmeasured");
  write(find("moved-note"), moved.length ? note : none);
  const hasValues = moved.some((one) => isKnown(one.mean));
  find("details").classList.toggle("is-wide", hasValues);
  const spread = (mean, deviation) => `${number(mean)} ± ${number(deviation)}`;
  const heads = [[text("column"), "left"], [text("distance"), ""], [text("harmShare"), ""]];
  if (hasValues) heads.splice(2, 0, [text("before"), ""], [text("after"), ""]);
  const rows = moved.map((one) => {
    const cells = [one.name ?? `${text("column")} ${one.place + 1}`];
    cells.push(((one.score > 0 ? "+" : "") + number(one.score, 1)).replace("-", "−"));
    if (hasValues) {
      cells.push(spread(one.reference_mean, one.reference_deviation));
      cells.push(spread(one.mean, one.deviation));
    }
    return [...cells, share(one.harm_share)];
  });
  fill(find("moved"), heads, rows);
  find("moved").hidden = !moved.length;
  const list = directions
    .map((one) => text("direction", { place: one.place + 1, share: percent(one.harm_share) }))
    .join(text("separator"));
  write(find("directions"), list ? text("directions", { list }) : "");
}

function modelCell(one, status) {
  if (status.models.length < 2) return one.model;
  const link = make("a", one.model);
  link.href = `?${new URLSearchParams({ lang: LANG, model: one.model })}`;
  if (one.model === status.model) link.ariaCurrent = "true";
  return [link];
}

function showModels(status) {
  const heads = ["model", "version", "kind", "state"].map((name) => [text(name), "left"]);
  const rows = status.models.map((one) => [
    modelCell(one, status),
    [make("code", one.version)],
    one.kind,
    text(one.state === "WARMING" ? "WARMING_UP" : one.state),
    number(one.prompts, 0),
  ]);
  fill(find("models"), [...heads, [text("prompts"), ""]], rows);
  const skipped = Object.entries(status.skipped).filter(([, count]) => count > 0);
  const list = skipped.map(([name, count]) => `${label("skip", name)} ${number(count, 0)}`);
  write(
    find("skipped"),
    list.length ? text("skipped", { list: list.join(text("separator")) }) : "",
  );
}

// Each worker has a page of its own, on this machine at another port.
function workerCell(one) {
  if (!one.is_ready) return `${one.worker} (${text("workerDown")})`;
  const link = make("a", String(one.worker));
  const url = new URL(location.href);
  url.port = one.metrics_port;
  url.search = new URLSearchParams({ lang: LANG });
  link.href = url;
  return [link];
}

function showWorkers({ workers }) {
  find("workers-card").hidden = !workers;
  if (!workers) return;
  const heads = [[text("worker"), "left"], [text("workerAnswer"), "left"], [text("restarts"), "left"]];
  heads.splice(2, 0, [text("workerScore"), ""], [text("prompts"), ""]);
  const rows = workers.map((one) => [
    workerCell(one),
    one.is_kept ? text("workerAnswerKept", { answer: text(one.answer) }) : text(one.answer),
    number(one.score),
    number(one.prompts, 0),
    one.last_end
      ? text("restartsWhy", { count: number(one.restarts, 0), why: one.last_end })
      : number(one.restarts, 0),
  ]);
  fill(find("workers"), heads, rows);
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
const LINES = [
  { stroke: () => colour("first"), width: 2, points: { size: 4 } },
  { stroke: () => colour("second"), width: 2, dash: [7, 4], points: { size: 4 } },
  { stroke: () => colour("third"), width: 2, dash: [2, 3], points: { size: 4 } },
];

// Draws what lies below the curves: a level, tinted above where it is an alarm line, or a word.
function drawBelow(plot, level) {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  ctx.save();
  ctx.font = `${12 * scale}px system-ui, sans-serif`;
  if (!plot.data.slice(1).some((values) => values.some(isKnown))) {
    ctx.fillStyle = colour("quiet");
    ctx.textAlign = "center";
    ctx.fillText(text("unmeasured"), bbox.left + bbox.width / 2, bbox.top + 0.36 * bbox.height);
  }
  if (level) {
    const y = Math.round(plot.valToPos(1, "y", true));
    ctx.fillStyle = colour("danger");
    if (level.isAlarm) ctx.fillRect(bbox.left, bbox.top, bbox.width, y - bbox.top);
    ctx.strokeStyle = ctx.fillStyle = colour(level.isAlarm ? "no" : "quiet");
    ctx.lineWidth = (level.isAlarm ? 1.5 : 1) * scale;
    ctx.setLineDash(level.isAlarm ? [6 * scale, 4 * scale] : []);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.textAlign = "left";
    if (level.isAlarm) ctx.fillText(text("alarmLine"), bbox.left + 6 * scale, y - 6 * scale);
  }
  ctx.restore();
}

function axes(short) {
  const shared = {
    stroke: () => colour("quiet"),
    font: "12px system-ui, sans-serif",
    ticks: { show: false },
  };
  const grid = { stroke: () => colour("line"), width: 1 };
  const labels = (_, splits) => splits.map((seconds) => clock(seconds));
  const digits = (_, splits) => splits.map((v) => v.toLocaleString(LANG));
  return [
    { ...shared, grid: { show: false }, values: labels, size: 28, space: 70 },
    { ...shared, grid, values: digits, size: 46, space: short ? 26 : 36 },
  ];
}

function chart(id, count, level, least) {
  const box = find(id);
  const short = box.classList.contains("short");
  const lines = LINES.slice(0, count).map((line) => ({ ...line }));
  if (count === 1) lines[0].fill = () => colour("fill");
  const range = (_, first, last) => [Math.min(first, last - SHORTEST_SECONDS), last];
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 20, 0, 0],
      scales: { x: { range }, y: { range: (_, low, high) => [0, Math.max(least, 1.15 * high)] } },
      axes: axes(short),
      series: [{}, ...lines],
      hooks: { drawClear: [(self) => drawBelow(self, level)] },
    },
    [[], ...lines.map(() => [])],
    box,
  );
  new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
  return plot;
}

function describe(id, title, values, words) {
  const known = values.filter(isKnown);
  const numbers = { title, now: words(values.at(-1)), most: words(Math.max(...known)) };
  find(id).ariaLabel = text(known.length ? "chart" : "noPoints", numbers);
}

function charts() {
  const score = chart("score-chart", 1, { isAlarm: true }, 1.25); // both levels are at 1
  const error = chart("error-chart", 3, { isAlarm: false }, 2);
  const calls = chart("calls-chart", 1, null, 1);
  const p99 = chart("p99-chart", 1, null, 5);
  return ({ time, series }) => {
    score.setData([time, series.score]);
    error.setData([time, series.predicted_error, series.leave_one_out, series.ridge]);
    calls.setData([time, series.calls_per_second]);
    p99.setData([time, series.p99_seconds.map(inMilliseconds)]);
    describe("score-chart", text("score"), series.score, number);
    describe("error-chart", text("error"), series.predicted_error, number);
    describe("calls-chart", text("calls"), series.calls_per_second, rate);
    describe("p99-chart", text("p99"), series.p99_seconds, milliseconds);
  };
}

function start() {
  let shownAt = null; // Unix seconds of the browser
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
  for (const link of document.querySelectorAll("[data-lang]")) {
    const wanted = parameters();
    wanted.set("lang", link.dataset.lang);
    link.href = `?${wanted}`;
    if (link.dataset.lang === LANG) link.ariaCurrent = "true";
  }
  write(find("pulse"), text("connecting"));
  const draw = charts();

  function showStale(isStale) {
    const time = shownAt && clock(shownAt, { second: "2-digit" });
    document.body.classList.toggle("is-stale", isStale);
    find("stale").hidden = !isStale;
    write(find("stale"), isStale ? text(shownAt ? "stale" : "unreachable", { time }) : "");
    write(find("pulse"), isStale || !shownAt ? "" : text("updated", { time }));
  }

  async function refresh() {
    const model = parameters().get("model");
    const query = model ? `?${new URLSearchParams({ model })}` : "";
    let status = null;
    try {
      const reply = await fetch(`status.json${query}`, { signal: AbortSignal.timeout(4000) });
      if (reply.ok) status = await reply.json();
    } catch {
      // Said on the page below.
    }
    if (status) {
      shownAt = Date.now() / 1000;
      for (const show of [showAnswer, showEvaluation, showFacts, showMoved, showModels, showWorkers, draw]) show(status);
    }
    showStale(!status);
  }

  refresh();
  setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}

start();
