// Requests to the kernel: counters and complete values, because the browser may drop any message but the last.
class Asker {
  constructor(model, onRequest) {
    this.model = model;
    this.pending = [];
    this.onRequest = onRequest;
  }
  get now() { return this.model.get("asked"); }
  tell(patch) {
    this.model.set("asked", { ...this.now, ...patch });
    this.model.save_changes();
  }
  count(name, patch = {}) {
    this.onRequest();
    this.tell({ [name]: this.now[name] + 1, ...patch });
  }
  change(changes) {
    const revision = this.now.revision + 1;
    this.pending.push({ revision, changes });
    this.onRequest();
    this.tell({ revision, changes: this.merged() });
  }
  merged() {
    let all = {};
    for (const { changes } of this.pending) {
      if ("text" in changes || "prior" in changes || "painting" in changes) delete all.sliders;
      if ("text" in changes) all = {};
      all = { ...all, ...changes, ...(changes.sliders ? { sliders: { ...all.sliders, ...changes.sliders } } : {}) };
      if ("prior" in changes) delete all.painting;
    }
    return all;
  }
  arrived(revision) { this.pending = this.pending.filter((one) => one.revision > revision); }
}
