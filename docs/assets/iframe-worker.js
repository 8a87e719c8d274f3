// Search runs in a worker, and browsers start none for pages from the file system: there, a hidden
// frame does a worker's work. Everywhere else this changes nothing.
// (The offline plugin of the theme looks for "iframe-worker" in this file's name: without it, it
// would fetch a file of this purpose from the network.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.document.open();
      inside.postMessage = (data) => {
        this.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) }));
      };
      const loaded = new Promise((resolve) => inside.addEventListener("load", resolve));
      const script = new URL(url, location.href).href.replaceAll('"', "%22");
      inside.document.write(`<script src="${script}"></scr` + "ipt>");
      inside.document.close();
      this.deliver = (data) => {
        loaded.then(() => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
      };
    }

    postMessage(data) {
      this.deliver(structuredClone(data));
    }
  };
}
