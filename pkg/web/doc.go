// Package web is what the public HTTP servers of the services share: a server
// that ends within the shutdown budget, the middleware that every request passes
// (request id, log line, recovery, security headers, limits, refusal of
// cross-site writes), errors as JSON or as a page, cursors, static files, and
// pages rendered from html/template with one stylesheet.
//
// Everything works without JavaScript. Text that people or machines sent is
// shown so that it can neither run nor pose as something else. The package knows
// no job and no letter, decides nothing about rights (pkg/authn does), and never
// logs a query or a body.
package web
