/// The page: a form that starts a download, and a view that follows one job, by WebSocket, else by server-sent events,
/// else by asking. The job's id is in the address, so that a reload goes on with it. `nonce` is what the Content-Security-Policy of this one answer allows.
func consolePage(nonce: String, version: String) -> String {
    #"""
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Ferry</title>
    <link rel="icon" href="data:,">
    <style nonce="\#(nonce)">
      :root { color-scheme: light dark; --line: #8885; --accent: #0b6e8f; --bad: #b3261e; }
      @media (prefers-color-scheme: dark) { :root { --accent: #5cc3e4; --bad: #ff8a80; } }
      * { box-sizing: border-box; }
      body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
      h1 { font-size: 1.6rem; margin: 0; }
      header p { margin: .25rem 0 1.5rem; opacity: .8; }
      section { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem 1.25rem; margin-bottom: 1rem; }
      h2 { font-size: 1.05rem; margin: 0 0 .75rem; overflow-wrap: anywhere; }
      label { display: block; font-weight: 600; margin: .75rem 0 .25rem; }
      input, textarea, select, button { font: inherit; color: inherit; border: 1px solid var(--line);
        border-radius: .375rem; padding: .45rem .6rem; background: Field; }
      textarea, input { width: 100%; }
      button { background: var(--accent); color: Canvas; border-color: transparent; font-weight: 600;
        padding: .5rem 1rem; margin-top: 1rem; cursor: pointer; }
      button:disabled { opacity: .5; cursor: default; }
      :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
      .hint { font-size: .9rem; opacity: .8; margin: .25rem 0 0; }
      .bad { color: var(--bad); }
      progress { width: 100%; height: 1rem; accent-color: var(--accent); }
      table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
      th, td { text-align: left; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid var(--line); }
      code { overflow-wrap: anywhere; }
      [hidden] { display: none; }
    </style>
    </head>
    <body>
    <header>
      <h1>Ferry</h1>
      <p>Gathers many files into one archive.</p>
    </header>
    <main>
      <section id="caller" aria-labelledby="who" hidden>
        <h2 id="who">Who calls</h2>
        <form id="token-form">
          <label for="token">Token</label>
          <input id="token" type="password" autocomplete="off" spellcheck="false" aria-describedby="token-hint">
          <p class="hint" id="token-hint">This host wants to know who calls. The token stays in this tab until it is closed.</p>
          <div><button>Use this token</button></div>
        </form>
      </section>
      <section aria-labelledby="new">
        <h2 id="new">New download</h2>
        <form id="form">
          <label for="ids">File ids</label>
          <textarea id="ids" rows="3" required aria-describedby="ids-hint">70000, 70001, 70002</textarea>
          <p class="hint" id="ids-hint">1 to 1000 numbers from 10000 to 100000000, separated by commas or spaces.</p>
          <label for="name">Archive name (optional)</label>
          <input id="name" maxlength="128" autocomplete="off">
          <label for="missing">When a file is missing</label>
          <select id="missing"><option value="skip">leave it out</option><option value="fail">fail</option></select>
          <div><button id="go">Start download</button></div>
          <p id="problem" class="bad" role="alert"></p>
        </form>
      </section>
      <section id="job" aria-labelledby="job-title" hidden>
        <h2 id="job-title">Job</h2>
        <p><strong id="status" role="status"></strong> <span id="detail"></span></p>
        <progress id="bar" max="100" value="0" aria-label="Progress"></progress>
        <p><button id="cancel" type="button" hidden></button>
          <button id="retry" type="button" hidden>Try again</button></p>
        <p id="link" hidden><a id="url" rel="noreferrer">Save the archive</a> <span id="size"></span></p>
        <table id="table"><caption hidden>Files</caption>
          <thead><tr><th scope="col">File</th><th scope="col">Status</th><th scope="col">Size</th></tr></thead>
          <tbody id="files"></tbody></table>
        <p class="hint" id="more"></p>
      </section>
      <section aria-labelledby="api">
        <h2 id="api">By hand</h2>
        <p><code>curl -d '{"file_ids":[70000]}' -H 'content-type: application/json'
          <span class="origin"></span>/v1/download/initiate</code></p>
        <p><code>curl <span class="origin"></span>/v1/download/job/&lt;jobId&gt;</code></p>
        <p><code>curl -N <span class="origin"></span>/v1/download/stream/&lt;jobId&gt;</code></p>
        <p><code>curl <span class="origin"></span>/v1/download/job/&lt;jobId&gt;/download-url</code></p>
        <p><code>curl -X DELETE <span class="origin"></span>/v1/download/job/&lt;jobId&gt;</code></p>
        <p><code>curl -X POST <span class="origin"></span>/v1/download/job/&lt;jobId&gt;/retry</code></p>
        <p class="hint">Where a token is needed, add <code>-H "authorization: Bearer $TOKEN"</code>.</p>
        <p class="hint">Version \#(version)</p>
      </section>
    </main>
    <noscript><p>The form needs JavaScript; the lines under "By hand" do without.</p></noscript>
    <script nonce="\#(nonce)">
    "use strict";
    const at = id => document.getElementById(id);
    let watched = null;

    function bytes(count) {
      if (count == null) return "";
      const units = ["B", "KiB", "MiB", "GiB", "TiB"];
      let unit = 0;
      while (count >= 1024 && unit < 4) { count /= 1024; unit += 1; }
      return (unit ? count.toFixed(1) : count) + " " + units[unit];
    }

    // Kept where only this tab sees it, and only until it is closed.
    let token = sessionStorage.getItem("ferry.token") || "";
    function signed(headers) { return token ? { ...headers, authorization: "Bearer " + token } : headers || {}; }

    async function call(path, options) {
      const answer = await fetch(path, { ...options, headers: signed(options && options.headers) });
      const body = await answer.json();
      if (answer.ok) return body;
      if (answer.status === 401) at("caller").hidden = false;
      const details = (body.details || []).slice(0, 5).map(d => d.field + " " + d.problem);
      const error = new Error([body.message, ...details].join(" "));
      error.status = answer.status;
      throw error;
    }

    async function show(job) {
      const progress = job.progress;
      at("job-title").textContent = "Job " + job.jobId;
      at("status").textContent = job.status;
      const parts = [progress.current + " of " + progress.total + " files", bytes(progress.bytes)];
      if (job.status === "processing" && progress.current === progress.total)
        parts.push("finishing the archive");
      else if (job.status === "processing" && progress.estimatedTimeRemaining != null)
        parts.push("about " + progress.estimatedTimeRemaining + " s left");
      if (job.attempt > 1) parts.push("attempt " + job.attempt + " of " + job.maxAttempts);
      if (job.error) parts.push(job.error);
      at("detail").textContent = parts.filter(Boolean).join(" · ");
      at("bar").value = progress.percentage;
      at("bar").textContent = progress.percentage + " %";
      at("files").replaceChildren(...job.filesProcessed.slice(0, 100).map(file => {
        const row = document.createElement("tr");
        const status = file.error ? file.status + ": " + file.error : file.status;
        for (const text of [file.file_id, status, bytes(file.size)]) {
          const cell = document.createElement("td");
          cell.textContent = text;
          row.append(cell);
        }
        return row;
      }));
      const hidden = job.filesProcessed.length - 100;
      at("more").textContent = hidden > 0 ? "and " + hidden + " more" : "";
      at("job").hidden = false;
      if (job.status === "ready") {
        const link = await call("/v1/download/job/" + job.jobId + "/download-url");
        at("url").href = link.downloadUrl;
        at("size").textContent = "(" + bytes(link.fileSize) + ")";
      }
      at("link").hidden = job.status !== "ready";
      at("cancel").textContent = runs(job) ? "Cancel" : "Delete the archive";
      at("cancel").hidden = !runs(job) && job.status !== "ready";
      at("retry").hidden = runs(job) || job.status === "ready";
    }

    async function change(button, path, method) {
      const id = location.hash.slice(1);
      button.disabled = true;
      try {
        await call("/v1/download/job/" + encodeURIComponent(id) + path, { method });
        at("problem").textContent = "";
        follow();
      } catch (error) {
        at("problem").textContent = error.message;
      } finally {
        button.disabled = false;
      }
    }

    function runs(job) { return job.status === "queued" || job.status === "processing"; }

    // Sockets and event streams can bear no header field: a ticket of the job's stands for the token.
    async function address(view, way) {
      const path = "/v1/download/" + way + "/" + view.id + "?since=" + view.job.seq;
      if (!token) return path;
      const { ticket } = await call("/v1/download/job/" + view.id + "/ticket", { method: "POST" });
      return path + "&ticket=" + encodeURIComponent(ticket);
    }

    // A message of the watched job; what is not newer than what is shown is dropped.
    function take(view, message) {
      if (view !== watched || message.seq <= view.job.seq) return;
      const data = message.data;
      if (message.type === "status" || message.type === "complete") {
        view.job = data;
      } else if (message.type === "progress") {
        const files = new Map(data.files.map(file => [file.file_id, file]));
        view.job.progress = data.progress;
        view.job.filesProcessed = view.job.filesProcessed.map(file => files.get(file.file_id) || file);
      } else {
        view.job.error = data.message;
      }
      view.job.seq = message.seq;
      // What is ready is shown once its way has ended, with its link.
      if (view.job.status !== "ready") show(view.job).catch(error => { at("problem").textContent = error.message; });
    }

    const routes = ["subscribe", "stream"];
    // Each way follows the job until it cannot any more, and tells whether it ever could.
    const ways = [
      (view, path) => new Promise(done => {
        const socket = new WebSocket(location.origin.replace(/^http/, "ws") + path);
        let opened = false;
        view.stop = () => socket.close();
        socket.onopen = () => { opened = true; };
        socket.onmessage = event => take(view, JSON.parse(event.data));
        socket.onclose = () => done(opened);
      }),
      (view, path) => new Promise(done => {
        const events = new EventSource(path);
        let opened = false;
        view.stop = () => { events.close(); done(opened); };
        events.onopen = () => { opened = true; };
        for (const type of ["status", "progress", "complete", "error"])
          events.addEventListener(type, event => {
            // The connection's own errors have the name of one of the messages, and no data.
            if (event.data === undefined) return view.stop();
            take(view, JSON.parse(event.data));
          });
      }),
      async view => {
        const headers = signed({ "if-none-match": '"' + view.job.seq + '"' });
        const stop = new AbortController();
        view.stop = () => stop.abort();
        const answer = await fetch("/v1/download/job/" + view.id + "?wait=20", { headers, signal: stop.signal });
        return answer.ok || answer.status === 304;
      },
    ];

    async function watch(id) {
      if (watched) watched.stop();
      const view = watched = { id: encodeURIComponent(id), job: null, stop() {} };
      let way = 0, failures = 0;
      at("link").hidden = true;
      while (view === watched) {
        try {
          // Each turn begins with the whole job, which also tells what is wrong.
          const job = await call("/v1/download/job/" + view.id);
          if (view !== watched) return;
          view.job = job;
          await show(job);
          at("problem").textContent = "";
          if (!runs(job) || view !== watched) return;
          const path = way < routes.length ? await address(view, routes[way]) : null;
          if (view !== watched) return;
          failures = await ways[way](view, path) ? 0 : failures + 1;
          if (failures > 1 && way < ways.length - 1) { way += 1; failures = 0; }
        } catch (error) {
          if (view !== watched) return;
          at("problem").textContent = error.message;
          failures += 1;
          if ([400, 401, 403, 404].includes(error.status)) return;
        }
        const pause = Math.min(500 * 2 ** failures, 15000) * (0.5 + Math.random() / 2);
        await new Promise(done => setTimeout(done, pause));
      }
    }

    at("form").addEventListener("submit", async event => {
      event.preventDefault();
      at("problem").textContent = "";
      at("go").disabled = true;
      try {
        const words = at("ids").value.split(/[\s,;]+/).filter(Boolean);
        const order = { file_ids: words.map(word => /^\d{1,15}$/.test(word) ? Number(word) : word),
          on_missing: at("missing").value };
        if (at("name").value) order.archive_name = at("name").value;
        const job = await call("/v1/download/initiate", {
          method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(order) });
        location.hash = job.jobId;
      } catch (error) {
        at("problem").textContent = error.message;
      } finally {
        at("go").disabled = false;
      }
    });

    at("token-form").addEventListener("submit", event => {
      event.preventDefault();
      token = at("token").value.trim();
      at("token").value = "";
      sessionStorage.setItem("ferry.token", token);
      at("problem").textContent = "";
      at("caller").hidden = true;
      follow();
    });

    at("cancel").addEventListener("click", event => change(event.target, "", "DELETE"));
    at("retry").addEventListener("click", event => change(event.target, "/retry", "POST"));

    function follow() { if (location.hash.length > 1) watch(location.hash.slice(1)); }
    addEventListener("hashchange", follow);
    for (const span of document.querySelectorAll(".origin")) span.textContent = location.origin;
    follow();
    </script>
    </body>
    </html>
    """#
}
