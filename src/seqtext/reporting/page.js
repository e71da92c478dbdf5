// Draws the figures in the page's colors, redraws them when these change, and highlights curves.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function themed(layout, data) {
  const isMap = data[0].type === "heatmap"; // the background marks empty cells
  const themedLayout = {
    margin: { l: 64, r: 20, t: 44, b: 52 }, hovermode: "closest", ...layout,
    plot_bgcolor: isMap ? colour("--wash") : "rgba(0,0,0,0)",
    autosize: !layout.width, width: layout.width, paper_bgcolor: "rgba(0,0,0,0)",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--ink") },
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: colour("--ink") },
    hoverlabel: { bgcolor: colour("--wash"), bordercolor: colour("--line"),
                  font: { color: colour("--ink") } },
    legend: { font: { size: 12 }, ...layout.legend },
  };
  for (const key of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
    themedLayout[key] = { zeroline: false, automargin: true, ...layout[key],
      ...(layout[key].title && { title: { standoff: 14, ...layout[key].title } }),
      gridcolor: colour("--grid"), linecolor: colour("--line"), tickcolor: colour("--line") };
  }
  return themedLayout;
}

const plots = [...document.querySelectorAll(".plot")];

function draw(plot) {
  const { data, layout } = JSON.parse(plot.querySelector("script").textContent);
  plot.choices = layout.meta?.choices || []; // [name, y axis title, trace updates]
  plot.source = layout;
  const config = { responsive: true, displaylogo: false,
                   modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  Plotly.newPlot(plot.querySelector("div"), data, themed(layout, data), config);
}

function recolour(size = {}) {
  for (const plot of plots) {
    const area = plot.querySelector("div");
    const axes = Object.entries(area.layout).filter(([key]) => /^[xy]axis\d*$/.test(key));
    const changed = Object.fromEntries(axes); // changes by menus and zoom
    Plotly.relayout(area, themed({ ...plot.source, ...changed, ...size }, area.data));
  }
}

function choosing(plot) {
  const menu = plot.parentElement.querySelector("select");
  if (!menu) return;
  menu.append(...plot.choices.map(([name]) => new Option(name)));
  menu.addEventListener("change", () => {
    const [, title, traces] = plot.choices[menu.selectedIndex];
    const layout = { "yaxis.title.text": title, "yaxis.autorange": true };
    Plotly.update(plot.querySelector("div"), traces, layout);
  });
}

function highlight(plot, isChosen) {
  const area = plot.querySelector("div");
  const strong = area.data.map((trace) => isChosen === null || isChosen(trace));
  Plotly.restyle(area, {
    opacity: strong.map((s) => (isChosen === null ? 0.65 : s ? 1 : 0.08)),
    "line.width": strong.map((s) => (isChosen !== null && s ? 2.6 : 1.5)),
  });
}

function highlighting(plot) {
  const field = plot.parentElement.querySelector("input[type=search]");
  if (!field) return;
  const area = plot.querySelector("div");
  const typed = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (trace) => words.every((word) => trace.meta.toLowerCase().includes(word));
    highlight(plot, words.length ? matches : null);
  };
  field.addEventListener("input", typed);
  area.on("plotly_hover", ({ points }) =>
    highlight(plot, (trace) => trace.legendgroup === points[0].data.legendgroup));
  area.on("plotly_unhover", typed);
}

plots.forEach(draw);
plots.forEach(choosing);
plots.forEach(highlighting);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => recolour());

// The paper width is unknown before layout: assume A4 landscape, within the margins of page.css.
const PAPER = 1030;

function printing(isPrinting) {
  document.documentElement.classList.toggle("printing", isPrinting);
  recolour(isPrinting ? { width: PAPER } : {});
}

addEventListener("beforeprint", () => printing(true));
addEventListener("afterprint", () => printing(false));
