package source

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// Login is a user name and password for one registry.
type Login struct {
	Host     string // as in an image name, with its port if it has one
	Username string // as for docker login
	Password string // or an access token
}

// KeychainOptions lists where credentials come from, strongest first.
type KeychainOptions struct {
	// Explicit logins win over everything: what the user gave for this run.
	Explicit []Login
	// Docker is the docker CLI's config with its credential helpers; nil is
	// the file at its usual place.
	Docker authn.Keychain
	// Fallback logins are for hosts that no other source knows: a token that
	// is simply there, as in a workflow job.
	Fallback []Login
}

// Keychain composes the sources of opt into one keychain. A login is sent to
// its own host alone.
func Keychain(opt KeychainOptions) authn.Keychain {
	docker := opt.Docker
	if docker == nil {
		docker = authn.DefaultKeychain
	}
	return authn.NewMultiKeychain(logins(opt.Explicit), docker, logins(opt.Fallback))
}

// logins is a keychain over a list.
type logins []Login

func (l logins) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return l.ResolveContext(context.Background(), target)
}

func (l logins) ResolveContext(_ context.Context, target authn.Resource) (authn.Authenticator, error) {
	for _, c := range l {
		// The parser knows the names that one registry goes by.
		reg, err := name.NewRegistry(c.Host)
		if err != nil || c.Host == "" || c.Password == "" || reg.RegistryStr() != target.RegistryStr() {
			continue
		}
		return authn.FromConfig(authn.AuthConfig{Username: c.Username, Password: c.Password}), nil
	}
	return authn.Anonymous, nil
}
