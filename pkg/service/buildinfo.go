package service

import "runtime/debug"

// Version is the released version, set by the linker:
//
//	-ldflags "-X github.com/envision/resiliency/pkg/service.Version=v1.2.3"
//
// It is the one variable of the package because the linker can set nothing else.
var Version string //nolint:gochecknoglobals // see above

// buildVersion returns Version, or what the build itself knows when nobody set it.
func buildVersion() string {
	if Version != "" {
		return Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && s.Value != "" {
			return s.Value
		}
	}
	return "devel"
}
