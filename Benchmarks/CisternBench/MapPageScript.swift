extension MapPage {
    /// Draws curves, map and moment from `D`. Cells are unpacked once; every picture is drawn again when something changes.
    static let script = #"""
        (() => {
          "use strict";
          const $ = id => document.getElementById(id);
          const moments = D.event.length, cellCount = D.cellCount, last = D.event[moments - 1] || 1;
          const cells = new Uint8Array(moments * cellCount * 2);

          // Runs of cells: length, content, shares; content 255 means "as in the column before".
          const packed = Uint8Array.from(atob(D.cells), c => c.charCodeAt(0));
          for (let at = 0, to = 0; to < cells.length;) {
            const run = packed[at++], content = packed[at++], shares = content === 255 ? 0 : packed[at++];
            for (const end = to + 2 * run; to < end; to += 2) {
              cells[to] = content === 255 ? cells[to - 2 * cellCount] : content;
              cells[to + 1] = content === 255 ? cells[to + 1 - 2 * cellCount] : shares;
            }
          }
          const contentAt = (moment, cell) => cells[(moment * cellCount + cell) * 2];
          const liveAt = (moment, cell) => (cells[(moment * cellCount + cell) * 2 + 1] & 15) / 15;
          const residentAt = (moment, cell) => (cells[(moment * cellCount + cell) * 2 + 1] >> 4) / 15;

          // What a colour means. The first nine are sizes of blocks; colours that begin with -- are the page's.
          const groups = [
            ["8–16 bytes", "#6f4fb5"], ["17–32", "#3d6fd6"], ["33–64", "#1f9fc9"], ["65–128", "#23b08a"], ["129–256", "#7cbf3f"],
            ["257–512", "#e0c22e"], ["513–4096", "#f08c2e"], ["to 64 KiB", "#dd4b4b"], ["larger", "#a3358c"],
            ["the heap's own tables", "#8a94a0"], ["regions", "#b08968"], ["hole, still resident", "--hole"],
            ["free, given back to the kernel", "--given"], ["usable, not used yet", "--none"], ["only reserved", "--back"],
          ];
          const OWN = 9, HOLE = 11, GIVEN = 12, RESERVED = 14;
          const groupOf = content => {
            if (content >= 64) return content - 58;
            return [16, 32, 64, 128, 256, 512].findIndex(most => (content + 1) * 8 <= most);
          };
          const nameOf = content => {
            if (content < 64) return `blocks of ${(content + 1) * 8} bytes`;
            const blocks = ["blocks of 513 to 4096 bytes", "blocks of 4 to 64 KiB", "blocks above 64 KiB"];
            return blocks[content - 64] ?? groups[groupOf(content)][0];
          };

          const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
          const channels = hex => {
            const long = hex.length === 4 ? "#" + [...hex.slice(1)].map(c => c + c).join("") : hex;
            return [1, 3, 5].map(i => parseInt(long.slice(i, i + 2), 16));
          };
          const mix = (from, to, share) => from.map((value, i) => value + (to[i] - value) * share);
          const paint = color => `rgb(${color.map(Math.round)})`;
          const MB = bytes => {
            const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
            return (bytes / 1e6).toLocaleString("en", digits) + " MB";
          };
          const int = number => number.toLocaleString("en");

          let colors = [], onlyGroup = -1, chosen = 0, hovered = -1, image = null, timer = 0;
          for (let i = 1; i < moments; i++) if (D.live[i] > D.live[chosen]) chosen = i;

          function cellColor(moment, cell) {
            const group = groupOf(contentAt(moment, cell)), live = liveAt(moment, cell), resident = residentAt(moment, cell);
            let color = colors[group];
            if (group < HOLE) {
              const residentHole = live < 1 ? Math.min(1, Math.max(0, (resident - live) / (1 - live))) : 0;
              color = mix(mix(colors[GIVEN], colors[HOLE], residentHole), color, live);
            } else if (group <= GIVEN) {
              color = mix(colors[GIVEN], colors[HOLE], resident);
            }
            return onlyGroup >= 0 && group !== onlyGroup ? mix(color, colors[RESERVED], 0.86) : color;
          }

          // Margins, the same in both pictures of time, so that a moment is at the same place in both.
          const left = 64, right = 14, bottom = 34, top = 8, mapHeight = 440, curvesHeight = 230;
          const shownBytes = D.cellBytes * cellCount;
          const xOf = (moment, width) => left + (width - left - right) * moment / (moments - 1);

          function setUp(id, height) {
            const canvas = $(id), ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
            canvas.width = width * ratio;
            canvas.height = height * ratio;
            canvas.style.height = height + "px";
            const g = canvas.getContext("2d");
            g.setTransform(ratio, 0, 0, ratio, 0, 0);
            return { g, width, height };
          }
          function line(g, x1, y1, x2, y2) {
            g.beginPath();
            g.moveTo(x1, y1);
            g.lineTo(x2, y2);
            g.stroke();
          }
          // 1, 2 or 5 times a power of ten, so that there are about `count` steps.
          function step(most, count) {
            const power = 10 ** Math.floor(Math.log10(most / count));
            return [1, 2, 5, 10].find(factor => factor * power >= most / count) * power;
          }
          const short = n => n >= 1e6 ? +(n / 1e6).toFixed(2) + " M" : n >= 1e3 ? +(n / 1e3).toFixed(2) + " k" : n + "";
          function axes(g, width, height, mostBytes, hasLines) {
            g.font = "12px system-ui,sans-serif";
            g.fillStyle = css("--soft");
            g.strokeStyle = css("--line");
            g.lineWidth = 1;
            g.textAlign = "right";
            g.textBaseline = "middle";
            const bytesStep = step(mostBytes / 1e6, 5) * 1e6;
            for (let bytes = 0; bytes <= mostBytes; bytes += bytesStep) {
              const y = height - bottom - (height - bottom - top) * bytes / mostBytes;
              line(g, left - 4, y, hasLines ? width - right : left, y);
              g.fillText(bytes === 0 ? "0 MB" : +(bytes / 1e6).toFixed(2) + "", left - 8, y);
            }
            g.textAlign = "center";
            g.textBaseline = "top";
            const eventStep = step(last, 6);
            for (let event = 0; event <= last; event += eventStep) {
              const x = left + (width - left - right) * event / last;
              line(g, x, height - bottom, x, height - bottom + 4);
              g.fillText(short(event), x, height - bottom + 6);
            }
            g.textAlign = "right";
            g.fillText("events", width - right, height - 13);
          }
          function markers(g, width, height) {
            for (const [moment, dash, thickness] of [[chosen, [], 1.5], [hovered, [3, 3], 1]]) {
              if (moment < 0) continue;
              g.strokeStyle = css("--text");
              g.lineWidth = thickness;
              g.setLineDash(dash);
              line(g, xOf(moment, width), top, xOf(moment, width), height - bottom);
              g.setLineDash([]);
            }
          }

          // A capacity far above all that is used would leave nothing to see.
          const used = Math.max(1, ...D.committed), isNear = D.capacity < 1.5 * used;
          const mostBytes = (isNear ? D.capacity : used * 1.1) * 1.06;
          const curves = [
            { name: isNear ? "capacity" : `capacity (${MB(D.capacity)}, far above the picture)`, value: () => D.capacity,
              color: "--soft", width: 1.5, dash: [6, 4], isHidden: !isNear },
            { name: "committed: usable now", value: i => D.committed[i], color: "--committed", width: 6, alpha: 0.45 },
            { name: "resident: in the machine's memory", value: i => D.resident[i], color: "--resident", width: 2 },
            { name: "asked for: live bytes", value: i => D.live[i], color: "--live", width: 2, isFilled: true },
          ];
          function drawCurves() {
            const { g, width, height } = setUp("curves", curvesHeight);
            const yOf = bytes => height - bottom - (height - bottom - top) * bytes / mostBytes;
            axes(g, width, height, mostBytes, true);
            for (const curve of curves) {
              if (curve.isHidden) continue;
              g.beginPath();
              for (let i = 0; i < moments; i++) g.lineTo(xOf(i, width), yOf(curve.value(i)));
              g.strokeStyle = g.fillStyle = css(curve.color);
              g.lineWidth = curve.width;
              g.globalAlpha = curve.alpha ?? 1;
              g.setLineDash(curve.dash ?? []);
              g.stroke();
              g.setLineDash([]);
              if (curve.isFilled) {
                g.lineTo(xOf(moments - 1, width), yOf(0));
                g.lineTo(xOf(0, width), yOf(0));
                g.globalAlpha = 0.16;
                g.fill();
              }
              g.globalAlpha = 1;
            }
            markers(g, width, height);
          }

          // One pixel for a moment and as many cells as share it; drawn larger afterwards.
          function paintMap() {
            const rows = Math.min(cellCount, Math.floor(mapHeight * (window.devicePixelRatio || 1)));
            image = document.createElement("canvas");
            image.width = moments;
            image.height = rows;
            const g = image.getContext("2d"), pixels = g.createImageData(moments, rows);
            for (let row = 0; row < rows; row++) {
              const from = Math.floor(row * cellCount / rows), to = Math.max(from + 1, Math.floor((row + 1) * cellCount / rows));
              for (let moment = 0; moment < moments; moment++) {
                const sum = [0, 0, 0], at = ((rows - 1 - row) * moments + moment) * 4;
                for (let cell = from; cell < to; cell++) cellColor(moment, cell).forEach((value, i) => sum[i] += value);
                for (let i = 0; i < 3; i++) pixels.data[at + i] = sum[i] / (to - from);
                pixels.data[at + 3] = 255;
              }
            }
            g.putImageData(pixels, 0, 0);
          }
          function drawMap() {
            const { g, width, height } = setUp("map", mapHeight);
            axes(g, width, height, shownBytes, false);
            g.imageSmoothingEnabled = false;
            g.drawImage(image, left, top, width - left - right, height - bottom - top);
            g.strokeStyle = css("--line");
            g.strokeRect(left, top, width - left - right, height - bottom - top);
            markers(g, width, height);
          }

          const across = 64, side = () => Math.min(19, $("grid").clientWidth / across);
          function drawGrid() {
            const size = side(), rows = Math.ceil(cellCount / across), { g } = setUp("grid", Math.ceil(rows * size) + 2);
            for (let cell = 0; cell < cellCount; cell++) {
              const x = cell % across * size, y = Math.floor(cell / across) * size;
              g.fillStyle = paint(cellColor(chosen, cell));
              g.fillRect(x, y, size - 1, size - 1);
              if (groupOf(contentAt(chosen, cell)) <= GIVEN) continue;
              g.strokeStyle = css("--line");
              g.strokeRect(x + 0.5, y + 0.5, size - 2, size - 2);
            }
            $("time").value = chosen;
            $("moment").innerHTML = `At event <b>${int(D.event[chosen])}</b>: asked for <b>${MB(D.live[chosen])}</b>, resident ` +
              `<b>${MB(D.resident[chosen])}</b>, usable <b>${MB(D.committed[chosen])}</b>; free between blocks ` +
              `<b>${MB(D.holes[chosen])}</b>.`;
          }

          function draw() {
            drawCurves();
            drawMap();
            drawGrid();
          }
          function choose(moment) {
            chosen = Math.max(0, Math.min(moments - 1, moment));
            draw();
          }

          function showTip(event, lines) {
            const tip = $("tip");
            tip.innerHTML = lines.join("<br>");
            tip.style.display = lines.length > 0 ? "block" : "none";
            tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
            const fits = event.clientY + 18 + tip.offsetHeight <= innerHeight;
            tip.style.top = (fits ? event.clientY + 18 : event.clientY - tip.offsetHeight - 10) + "px";
          }
          function aboutCell(moment, cell) {
            if (cell < 0 || cell >= cellCount) return [];
            const content = contentAt(moment, cell), group = groupOf(content), percent = share => Math.round(share * 100) + " %";
            const resident = percent(residentAt(moment, cell)) + " resident";
            const lines = [`<b>${group < OWN ? "mostly " : ""}${nameOf(content)}</b>`];
            if (group < HOLE) lines.push(percent(liveAt(moment, cell)) + " in use, " + resident);
            else if (group <= GIVEN) lines.push(resident);
            const megabytes = number => (number * D.cellBytes / 1e6).toFixed(2);
            lines.push(`${megabytes(cell)}–${megabytes(cell + 1)} MB from the heap's base`, `event ${int(D.event[moment])}`);
            return lines;
          }
          const aboutMoment = i => [`<b>event ${int(D.event[i])}</b>`, `asked for ${MB(D.live[i])}`, `resident ${MB(D.resident[i])}`,
            `committed ${MB(D.committed[i])}`, `capacity ${MB(D.capacity)}`];

          function momentAt(canvas, event) {
            const box = canvas.getBoundingClientRect(), share = (event.clientX - box.left - left) / (box.width - left - right);
            return Math.max(0, Math.min(moments - 1, Math.round(share * (moments - 1))));
          }
          function cellAt(canvas, event) {
            const box = canvas.getBoundingClientRect();
            return Math.floor((box.height - bottom - (event.clientY - box.top)) / (box.height - bottom - top) * cellCount);
          }
          for (const id of ["curves", "map"]) {
            const canvas = $(id);
            canvas.addEventListener("mousemove", event => {
              hovered = momentAt(canvas, event);
              showTip(event, id === "map" ? aboutCell(hovered, cellAt(canvas, event)) : aboutMoment(hovered));
              drawCurves();
              drawMap();
            });
            canvas.addEventListener("mouseleave", event => {
              hovered = -1;
              showTip(event, []);
              draw();
            });
            canvas.addEventListener("click", event => choose(momentAt(canvas, event)));
            canvas.addEventListener("keydown", event => {
              const change = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
              if (change === undefined) return;
              choose(chosen + change);
              event.preventDefault();
            });
          }
          $("grid").addEventListener("mousemove", event => {
            const box = $("grid").getBoundingClientRect(), x = Math.floor((event.clientX - box.left) / side());
            const cell = Math.floor((event.clientY - box.top) / side()) * across + x;
            showTip(event, x < across ? aboutCell(chosen, cell) : []);
          });
          $("grid").addEventListener("mouseleave", event => showTip(event, []));

          $("time").max = moments - 1;
          $("time").addEventListener("input", event => choose(+event.target.value));
          function play(isPlaying) {
            clearInterval(timer);
            timer = isPlaying ? setInterval(() => chosen < moments - 1 ? choose(chosen + 1) : play(false), 60) : 0;
            $("play").textContent = isPlaying ? "Stop" : "Play";
          }
          $("play").addEventListener("click", () => {
            if (chosen === moments - 1) chosen = 0;
            play(timer === 0);
          });

          function key(text, mark) {
            const item = document.createElement("span"), sign = document.createElement("i");
            mark(sign);
            item.append(sign, text);
            return item;
          }
          function drawKeys() {
            $("legend").replaceChildren(...groups.map(([name], group) => {
              const item = key(group === 0 ? "blocks of " + name : name, sign => sign.style.background = paint(colors[group]));
              item.onmouseenter = () => highlight(group);
              item.onmouseleave = () => highlight(-1);
              return item;
            }));
            $("lines").replaceChildren(...curves.map(curve => key(curve.name, sign => {
              sign.className = curve.dash ? "stroke dashed" : "stroke";
              sign.style.borderTopColor = css(curve.color);
            })));
          }
          function highlight(group) {
            onlyGroup = group;
            [...$("legend").children].forEach((item, g) => item.classList.toggle("off", group >= 0 && g !== group));
            paintMap();
            draw();
          }

          function drawAll() {
            onlyGroup = -1;
            colors = groups.map(([, color]) => channels(color.startsWith("--") ? css(color) : color));
            drawKeys();
            paintMap();
            draw();
          }
          const dark = matchMedia("(prefers-color-scheme:dark)"), root = document.documentElement;
          $("theme").addEventListener("click", () => {
            root.dataset.theme = (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
            drawAll();
          });
          if (["#dark", "#light"].includes(location.hash)) root.dataset.theme = location.hash.slice(1);
          dark.addEventListener("change", drawAll);
          addEventListener("resize", drawAll);
          drawAll();
        })();
        """#
}
