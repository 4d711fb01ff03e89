// oracle.js FOLDER: runs every FOLDER/*.json ({name, kind, dims, values} of each input) on its .onnx with ONNX Runtime
// and writes FOLDER/*.out ({kind, dims, values} of each output, or {error}).
const fs = require("fs");
const path = require("path");
const ort = require("onnxruntime-node");
const special = { nan: NaN, inf: Infinity, "-inf": -Infinity };
const read = (v) => (typeof v === "string" ? special[v] : v);
const written = (v) => (typeof v === "bigint" ? Number(v) : Number.isFinite(v) ? v : Number.isNaN(v) ? "nan" : v > 0 ? "inf" : "-inf");

async function one(base) {
  const session = await ort.InferenceSession.create(base + ".onnx", { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
  const feeds = {};
  for (const i of JSON.parse(fs.readFileSync(base + ".json"))) feeds[i.name] = new ort.Tensor(i.kind, Float32Array.from(i.values.map(read)), i.dims);
  const got = await session.run(feeds);
  return session.outputNames.map((n) => ({ kind: got[n].type, dims: got[n].dims, values: Array.from(got[n].data).map(written) }));
}

(async () => {
  const folder = process.argv[2];
  for (const name of fs.readdirSync(folder).filter((n) => n.endsWith(".json")).sort()) {
    const base = path.join(folder, name.slice(0, -5));
    let out;
    try {
      out = await one(base);
    } catch (e) {
      out = { error: String(e.message) };
    }
    fs.writeFileSync(base + ".out", JSON.stringify(out));
  }
})();
