internal import COpenSSL

/// `/docs`: one page that reads `/openapi.json` and shows it. Nothing is loaded from elsewhere, and nothing of the document
/// becomes markup: the script writes texts only.
enum DocsPage {
    /// The page.
    static let html = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Interface</title>
        <link rel="icon" href="data:,">
        <style>\(style)</style>
        </head>
        <body>
        <header>
          <h1 id="title">Interface</h1>
          <p id="about"></p>
          <p><a href="openapi.json">openapi.json</a></p>
          <label for="filter">Filter</label>
          <input id="filter" type="search" autocomplete="off">
        </header>
        <main id="operations"><noscript>The page needs JavaScript; openapi.json does not.</noscript></main>
        <p id="problem" role="alert"></p>
        <script>\(script)</script>
        </body>
        </html>
        """

    /// What the page may do: run its own script and style, and ask its own host.
    static let contentSecurityPolicy =
        "default-src 'none'; script-src '\(hash(script))'; style-src '\(hash(style))'; connect-src 'self'; "
        + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    private static func hash(_ text: String) -> String {
        let digest = Digest.sha256(Array(text.utf8))
        var encoded = [UInt8](repeating: 0, count: 45)
        let count = EVP_EncodeBlock(&encoded, digest, CInt(digest.count))
        return "sha256-\(String(decoding: encoded.prefix(Int(count)), as: UTF8.self))"
    }

    private static let style = """

          :root { color-scheme: light dark; --line: #8885; --accent: #0b6e8f; --bad: #b3261e; }
          @media (prefers-color-scheme: dark) { :root { --accent: #5cc3e4; --bad: #ff8a80; } }
          * { box-sizing: border-box; }
          body { font: 1rem/1.5 system-ui, sans-serif; max-width: 54rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
          h1 { font-size: 1.6rem; margin: 0; }
          h2 { font-size: .95rem; margin: 1rem 0 .25rem; }
          a { color: var(--accent); }
          label { font-weight: 600; }
          input, button { font: inherit; color: inherit; border: 1px solid var(--line); border-radius: .375rem;
            padding: .3rem .6rem; background: Field; }
          input { width: 100%; }
          details { border: 1px solid var(--line); border-radius: .5rem; margin: .75rem 0; padding: 0 1rem; }
          details[open] { padding-bottom: 1rem; }
          summary { cursor: pointer; padding: .6rem 0; overflow-wrap: anywhere; }
          summary code { font-weight: 600; }
          .method { color: var(--accent); }
          pre { background: #8881; border-radius: .375rem; padding: .6rem .8rem; overflow-x: auto; margin: .25rem 0;
            font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
          table { border-collapse: collapse; width: 100%; font-size: .9rem; }
          th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
            border-bottom: 1px solid var(--line); }
          .hint { font-size: .9rem; opacity: .8; }
          #problem { color: var(--bad); }
          [hidden] { display: none; }
          :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }

        """

    private static let script = #"""

        "use strict";
        const element = (name, text, style) => {
          const made = document.createElement(name);
          if (text !== undefined) made.textContent = text;
          if (style) made.className = style;
          return made;
        };
        let root = {};
        const resolve = (value) => {
          for (let turn = 0; value && value.$ref && turn < 8; turn++) {
            const path = value.$ref.split("/").slice(1).map((part) => part.replace(/~1/g, "/").replace(/~0/g, "~"));
            value = path.reduce((from, key) => from && from[key], root);
          }
          return value || {};
        };
        const limits = (schema) => {
          const parts = [];
          const range = (low, high, unit) => {
            if (low === undefined && high === undefined) return;
            parts.push((low ?? "") + "…" + (high ?? "") + unit);
          };
          range(schema.minimum, schema.maximum, "");
          range(schema.minLength, schema.maxLength, " characters");
          range(schema.minItems, schema.maxItems, " elements");
          if (schema.format) parts.push(schema.format);
          if (schema.pattern) parts.push(schema.pattern);
          if (schema.default !== undefined) parts.push("default " + JSON.stringify(schema.default));
          return parts.length ? " (" + parts.join(", ") + ")" : "";
        };
        const shape = (schema, indent = "", seen = []) => {
          if (typeof schema === "boolean") return schema ? "anything" : "nothing";
          const name = schema.$ref ? schema.$ref.split("/").pop() : "";
          if (name && (seen.includes(name) || seen.length > 8)) return name;
          const known = name ? seen.concat(name) : seen;
          schema = resolve(schema);
          if (schema.const !== undefined) return JSON.stringify(schema.const);
          if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
          const all = schema.allOf ? schema.allOf.map((part) => shape(part, indent, known)) : [];
          const any = (schema.anyOf || schema.oneOf || []).map((part) => shape(part, indent, known));
          const inner = indent + "  ";
          let own = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "";
          if (schema.properties) {
            const required = schema.required || [];
            const lines = Object.entries(schema.properties).map(([key, value]) => {
              const told = resolve(value).description;
              const mark = required.includes(key) ? "" : "?";
              return inner + key + mark + ": " + shape(value, inner, known) + (told ? "  // " + told : "");
            });
            own = (Array.isArray(schema.type) && schema.type.includes("null") ? "null | " : "")
              + "{\n" + lines.join("\n") + "\n" + indent + "}";
          } else if (schema.items) {
            own = "[" + shape(schema.items, indent, known) + "]";
          }
          if (any.length) own = any.join(" | ");
          return [...all, own].filter(Boolean).join(" & ") + limits(schema) || "anything";
        };
        const curl = (method, path, operation) => {
          const fill = (text) => text.replace(/\{(\w+)\}/g, "$" + "$1");
          const parts = ["curl", "-i"];
          if (method !== "get") parts.push("-X", method.toUpperCase());
          const ways = operation.security || [];
          const scheme = ways.map((way) => Object.keys(way)[0]).find(Boolean);
          if (scheme === "token") parts.push("-H", '"Authorization: Bearer $TOKEN"');
          for (const parameter of operation.parameters || []) {
            const given = resolve(parameter);
            if (given.in === "header" && given.required) parts.push("-H", `'${given.name}: …'`);
          }
          const content = (operation.requestBody && operation.requestBody.content) || {};
          const type = Object.keys(content)[0];
          if (type) {
            const example = sample(content[type].schema || {});
            parts.push("-H", `'content-type: ${type}'`, "-d", "'" + JSON.stringify(example).replace(/'/g, "'\\''") + "'");
          }
          parts.push('"' + location.origin + fill(path) + '"');
          return parts.join(" ");
        };
        const sample = (schema, depth = 0) => {
          schema = resolve(schema);
          if (schema.examples) return schema.examples[0];
          if (schema.default !== undefined) return schema.default;
          if (schema.const !== undefined) return schema.const;
          if (schema.enum) return schema.enum[0];
          if (depth > 6) return null;
          const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
          if (type === "object" || schema.properties) {
            const keys = schema.required || [];
            return Object.fromEntries(keys.map((key) => [key, sample((schema.properties || {})[key] || {}, depth + 1)]));
          }
          if (type === "array") return schema.items ? [sample(schema.items, depth + 1)] : [];
          if (type === "integer" || type === "number") return schema.minimum ?? 0;
          if (type === "boolean") return true;
          return type === "string" ? "text" : null;
        };
        const bodies = (content) => Object.entries(content || {}).map(([type, form]) => {
          const part = element("div");
          part.append(element("span", type, "hint"), element("pre", shape(form.schema || {})));
          return part;
        });
        const show = (method, path, operation) => {
          const box = element("details");
          box.id = operation.operationId || "";
          const line = element("summary");
          const route = element("code");
          route.append(element("span", method.toUpperCase() + " ", "method"), document.createTextNode(path));
          line.append(route, document.createTextNode(" " + (operation.summary || "")));
          box.append(line);
          if (operation.description) box.append(element("p", operation.description));
          const ways = (operation.security || []).map((way) => Object.keys(way).join(" and ") || "nothing");
          if (ways.length) box.append(element("p", "Needs " + ways.join(" or ") + ".", "hint"));
          const parameters = (operation.parameters || []).map(resolve);
          if (parameters.length) {
            const table = element("table");
            for (const given of parameters) {
              const row = element("tr");
              const told = resolve(given.schema).description || "";
              row.append(element("th", given.name + (given.required ? "" : "?")), element("td", given.in),
                element("td", shape(given.schema || {})), element("td", told));
              table.append(row);
            }
            box.append(element("h2", "Parameters"), table);
          }
          if (operation.requestBody) box.append(element("h2", "Body"), ...bodies(operation.requestBody.content));
          const messages = operation["x-messages"];
          for (const side of Object.keys(messages || {})) {
            box.append(element("h2", "Messages of the " + side), element("pre", shape(messages[side])));
          }
          const errors = element("table");
          for (const [status, given] of Object.entries(operation.responses)) {
            const answer = resolve(given);
            if (status < "400") {
              box.append(element("h2", status + " " + answer.description), ...bodies(answer.content));
              continue;
            }
            const form = ((answer.content || {})["application/json"] || {}).schema || {};
            const codes = (form.allOf || []).flatMap((part) => ((part.properties || {}).code || {}).enum || []);
            const row = element("tr");
            row.append(element("th", status), element("td", answer.description), element("td", codes.join(", ")));
            errors.append(row);
          }
          if (errors.children.length) box.append(element("h2", "Errors"), errors);
          const copied = curl(method, path, operation);
          const button = element("button", "Copy");
          button.type = "button";
          button.addEventListener("click", async () => {
            try {
              await navigator.clipboard.writeText(copied);
              button.textContent = "Copied";
            } catch {
              button.textContent = "Not allowed";
            }
          });
          box.append(element("h2", "Try it"), element("pre", copied), button);
          return box;
        };
        const begin = async () => {
          const answer = await fetch("openapi.json");
          if (!answer.ok) throw new Error("openapi.json: " + answer.status);
          root = await answer.json();
          document.title = root.info.title;
          document.getElementById("title").textContent = root.info.title + " " + root.info.version;
          document.getElementById("about").textContent = root.info.description || "";
          const list = document.getElementById("operations");
          const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
          for (const [path, item] of Object.entries(root.paths)) {
            const others = Object.entries(item["x-operations"] || {});
            for (const [method, operation] of [...Object.entries(item), ...others]) {
              if (methods.includes(method) || others.some(([name]) => name === method)) {
                list.append(show(method, path, operation));
              }
            }
          }
          const wanted = location.hash && document.getElementById(location.hash.slice(1));
          if (wanted) wanted.open = true;
          const filter = document.getElementById("filter");
          filter.addEventListener("input", () => {
            const text = filter.value.toLowerCase();
            for (const box of list.children) {
              box.hidden = !box.firstChild.textContent.toLowerCase().includes(text);
            }
          });
        };
        begin().catch((error) => { document.getElementById("problem").textContent = String(error); });

        """#
}
