package web

import (
	"errors"
	"fmt"
	"net"
)

// Config is the part of a service's configuration that its public server needs.
// Embed it:
//
//	HTTP web.Config `embed:""`
type Config struct {
	// Addr is where the server listens; port 0 takes a free one.
	Addr string `name:"http-addr" env:"HTTP_ADDR" default:":8080" help:"Address of the public API and pages."`
	// Rate and Burst bound the requests of one caller.
	Rate  float64 `name:"http-rate" env:"HTTP_RATE" default:"20" help:"How many requests a second one caller may make."`
	Burst int     `name:"http-burst" env:"HTTP_BURST" default:"60" help:"How many requests one caller may make at once."`
}

// AddrSetting names Addr in messages about it.
const AddrSetting = "HTTP_ADDR (--http-addr)"

// Validate returns everything that is wrong, joined.
func (c *Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, fmt.Errorf("%s: %q is not an address such as :8080 or 127.0.0.1:0", AddrSetting, c.Addr))
	}
	if !(c.Rate > 0) { // also not a number
		errs = append(errs, fmt.Errorf("HTTP_RATE (--http-rate): must be above zero, is %v", c.Rate))
	}
	if c.Burst < 1 {
		errs = append(errs, fmt.Errorf("HTTP_BURST (--http-burst): must be 1 or more, is %d", c.Burst))
	}
	return errors.Join(errs...)
}
