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
    ["change", "end"].forEach(function (name) { stream.addEventListener(name, soon); });
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
    if (!next.dataset.follow && !ended) end();
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
    if (stream) stream.close();
    stream = null;
  }
  document.addEventListener("visibilitychange", function () { if (stream && !document.hidden) soon(); });
  window.addEventListener("pagehide", function () { if (stream) stream.close(); });
  window.addEventListener("pageshow", function (e) { if (e.persisted && stream) { open(); soon(); } });
  open();
  later(most);
})();
