// Follows a job that goes on: on every event of its stream the page is fetched
// again, and the sections that changed are taken over. Without this script, and
// when the stream cannot be had, the link "Look again" does the same.
"use strict";
(function () {
  var job = document.getElementById("job");
  if (!job || !job.dataset.follow || !window.EventSource) return;
  var least = 1000, most = 15000; // milliseconds between two looks
  // What comes after the end, such as the last logs, is waited for this often.
  var after = [3000, 10000];
  var stream = null, timer = 0, last = 0, looking = false, again = false, ended = false;

  function open() {
    stream = new EventSource(job.dataset.follow);
    stream.addEventListener("change", soon);
    // The browser would open one stream after another for as long as the tab is there,
    // and a hidden one does not look at the page that says that there is no more.
    stream.addEventListener("end", function () { close(); soon(); });
  }
  function close() {
    if (stream) stream.close();
    stream = null;
  }
  function soon() { later(Math.max(least - (Date.now() - last), 0)); }
  function later(wait) {
    clearTimeout(timer);
    timer = setTimeout(look, wait);
  }
  function look() {
    if (looking) { again = true; return; }
    if (document.hidden) return later(most);
    looking = true;
    last = Date.now();
    fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" })
      .then(function (res) { return res.ok ? res.text() : Promise.reject(res.status); })
      .then(function (html) { take(new DOMParser().parseFromString(html, "text/html")); })
      .catch(function () { /* it is tried again */ })
      .then(function () {
        looking = false;
        if (!ended) later(again ? least : most);
        else if (after.length) later(after.shift());
        again = false;
      });
  }
  function take(fresh) {
    var next = fresh.getElementById("job");
    if (!next) return;
    next.querySelectorAll("h1, #as-of time, section[id]").forEach(function (el) {
      var old = el.id ? document.getElementById(el.id) : job.querySelector(el.tagName === "H1" ? "h1" : "#as-of time");
      if (old) swap(old, el);
    });
    if (next.dataset.state !== job.dataset.state) {
      job.dataset.state = next.dataset.state;
      document.getElementById("followed").textContent = "The job is now " + next.dataset.state + ".";
    }
    if (!next.dataset.follow) end();
    else if (!stream && !ended) open(); // a verdict was wrong, and the job goes on
  }
  // swap takes a section over, unless somebody is in it.
  function swap(old, fresh) {
    if (old.contains(document.activeElement) || selects(old)) return;
    var opened = [];
    old.querySelectorAll("details").forEach(function (d, n) { if (d.open) opened.push(n); });
    fresh.querySelectorAll("details").forEach(function (d, n) { d.open = opened.indexOf(n) >= 0; });
    if (!old.isEqualNode(fresh)) old.replaceWith(document.importNode(fresh, true));
  }
  function selects(el) {
    var s = window.getSelection();
    return s && !s.isCollapsed && s.containsNode(el, true);
  }
  function end() {
    ended = true;
    close();
  }
  document.addEventListener("visibilitychange", function () { if (!ended && !document.hidden) soon(); });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", function (e) { if (e.persisted && !ended) soon(); });
  open();
  later(most);
})();
