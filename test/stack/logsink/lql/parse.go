package lql

import (
	"fmt"
	"regexp"
)

const (
	// maxLength is Cloud Logging's limit on a filter, in bytes here.
	maxLength = 20_000
	// maxDepth bounds the nesting, so that no text can exhaust the stack.
	maxDepth = 100
)

// Filter is a filter that was understood. It is safe for concurrent use.
type Filter struct{ root node }

// Parse reads a filter. Whatever it does not know is an error that says where.
func Parse(filter string) (*Filter, error) {
	if len(filter) > maxLength {
		return nil, fmt.Errorf("parse filter: %d bytes, at most %d are allowed", len(filter), maxLength)
	}
	tokens, err := lex(filter)
	if err != nil {
		return nil, fmt.Errorf("parse filter: %w", err)
	}
	p := &parser{tokens: tokens}
	root, err := p.and()
	if err == nil && p.peek().kind != end {
		err = p.unexpected("AND, OR or the end")
	}
	if err != nil {
		return nil, fmt.Errorf("parse filter: %w", err)
	}
	return &Filter{root: root}, nil
}

// parser walks the tokens; each method takes what it understands.
type parser struct {
	tokens []token
	next   int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.next] }

// take returns the token at hand and goes on; it stays on the last.
func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != end {
		p.next++
	}
	return t
}

func (p *parser) unexpected(want string) error {
	return fmt.Errorf("at %d: %v, want %s", p.peek().at, p.peek(), want)
}

func (p *parser) expect(symbolText string) error {
	if !p.peek().is(symbolText) {
		return p.unexpected(fmt.Sprintf("%q", symbolText))
	}
	p.take()
	return nil
}

// and is the loosest: `a OR b AND c` means `(a OR b) AND c`.
func (p *parser) and() (node, error) {
	return p.list("AND", p.or, func(nodes []node) node { return all(nodes) })
}

func (p *parser) or() (node, error) {
	return p.list("OR", p.not, func(nodes []node) node { return anyOf(nodes) })
}

func (p *parser) list(operator string, operand func() (node, error), join func([]node) node) (node, error) {
	first, err := operand()
	if err != nil {
		return nil, err
	}
	nodes := []node{first}
	for p.peek().keyword(operator) {
		p.take()
		n, err := operand()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	if len(nodes) == 1 {
		return first, nil
	}
	return join(nodes), nil
}

func (p *parser) not() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("at %d: nested more than %d deep", p.peek().at, maxDepth)
	}
	defer func() { p.depth-- }()
	if p.peek().keyword("NOT") {
		p.take()
		n, err := p.not()
		return negated{n}, err
	}
	if p.peek().is("(") {
		p.take()
		n, err := p.and()
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	}
	return p.comparison()
}

func (p *parser) comparison() (node, error) {
	if p.peek().keyword("log_id") && p.tokens[p.next+1].is("(") {
		return p.logID()
	}
	at := p.peek().at
	field, err := p.field()
	if err != nil {
		return nil, err
	}
	if err := field.check(); err != nil {
		return nil, fmt.Errorf("at %d: %w", at, err)
	}
	operator := p.peek()
	if operator.kind != symbol {
		return nil, p.unexpected("an operator after the field")
	}
	p.take()
	switch operator.text {
	case "=", ":":
		return p.alternatives(field, operator.text)
	case "!=":
		v, err := p.value()
		return compare{field: field, op: operator.text, value: v}, err
	case "=~", "!~":
		return p.pattern(field, operator.text)
	}
	return nil, fmt.Errorf("at %d: %v, want an operator after the field", operator.at, operator)
}

func (p *parser) logID() (node, error) {
	p.take()
	p.take()
	id := p.take()
	if id.kind != text || id.text == "" {
		return nil, fmt.Errorf("at %d: log_id wants one quoted id", id.at)
	}
	return logID(id.text), p.expect(")")
}

// field reads names with dots between; a name in quotes may hold anything.
func (p *parser) field() (path, error) {
	var names path
	for {
		t := p.take()
		switch {
		case t.kind == text && len(names) > 0 && t.text != "":
		case t.kind == word && identifier.MatchString(t.text) && !reserved(t.text):
		default:
			return nil, fmt.Errorf("at %d: %v, want a field (names with special characters are quoted)", t.at, t)
		}
		names = append(names, t.text)
		if !p.peek().is(".") {
			return names, nil
		}
		p.take()
	}
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func reserved(s string) bool { return s == "AND" || s == "OR" || s == "NOT" }

// alternatives reads `value`, `*` or `(value OR value ...)`.
func (p *parser) alternatives(field path, operator string) (node, error) {
	if operator == ":" && p.peek().is("*") {
		p.take()
		return exists(field), nil
	}
	if !p.peek().is("(") {
		v, err := p.value()
		return compare{field: field, op: operator, value: v}, err
	}
	p.take()
	var choices anyOf
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		choices = append(choices, compare{field: field, op: operator, value: v})
		if !p.peek().keyword("OR") {
			return choices, p.expect(")")
		}
		p.take()
	}
}

func (p *parser) pattern(field path, operator string) (node, error) {
	if p.peek().kind != text {
		return nil, p.unexpected("a quoted regular expression")
	}
	t := p.take()
	re, err := regexp.Compile(t.text)
	if err != nil {
		return nil, fmt.Errorf("at %d: %w", t.at, err)
	}
	return matches{field: field, re: re, negate: operator == "!~"}, nil
}

func (p *parser) value() (string, error) {
	t := p.peek()
	if t.kind == text || t.kind == word && !reserved(t.text) {
		p.take()
		return t.text, nil
	}
	return "", p.unexpected("a value")
}
