package stack

import (
	"context"
	"fmt"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// emulatorOptions connect one of Google's clients to an address of ours, as the
// emulator variables would; those are one for the whole process, and several
// stacks may live in one.
func emulatorOptions(addr string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(addr),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		// The emulators grant everything to "owner", as Google's own clients send.
		option.WithGRPCDialOption(grpc.WithPerRPCCredentials(ownerToken{})),
	}
}

// ownerToken is the credential that the emulators take for the administrator.
type ownerToken struct{}

func (ownerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (ownerToken) RequireTransportSecurity() bool { return false }

// OpenFirestore returns a client of the Firestore that an env file names, for a
// process that did not start the stack; the caller closes it.
func OpenFirestore(ctx context.Context, vars Vars) (*firestore.Client, error) {
	id := vars.Get("GOOGLE_CLOUD_PROJECT")
	client, err := firestore.NewClient(ctx, id, emulatorOptions(vars.Get(envFirestore))...)
	if err != nil {
		return nil, fmt.Errorf("Firestore client of project %s: %w", id, err)
	}
	return client, nil
}
