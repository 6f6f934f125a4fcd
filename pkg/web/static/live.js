// Keeps an element with data-live="seconds" up to date: fetches the page again
// and takes over the element of the same id, until it is no longer marked.
"use strict";
(function () {
  function next(el) {
    var seconds = Number(el.getAttribute("data-live"));
    if (seconds > 0) setTimeout(function () { refresh(el); }, Math.max(seconds, 1) * 1000);
  }
  function refresh(el) {
    if (document.hidden) return next(el);
    fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" })
      .then(function (res) { return res.ok ? res.text() : Promise.reject(res.status); })
      .then(function (html) {
        var fresh = new DOMParser().parseFromString(html, "text/html").getElementById(el.id);
        // Someone who has put the focus there must not lose it.
        var focus = document.activeElement;
        if (!fresh || el.contains(focus)) return next(el);
        // At its end the rest of the page changes too, such as what can be done.
        if (!fresh.hasAttribute("data-live") && (!focus || focus === document.body)) return location.reload();
        el.replaceWith(fresh);
        next(fresh);
      })
      .catch(function () { next(el); });
  }
  document.querySelectorAll("[data-live][id]").forEach(next);
})();
