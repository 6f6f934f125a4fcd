package consume

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/messaging/messagingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, messagingtest.LeakOptions()...) }
