package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// clientCertificate writes what DOCKER_CERT_PATH holds, trusting ca.
func clientCertificate(t *testing.T, ca *x509.Certificate) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: ca.Raw}, "cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEngineBehindTLS(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	e := &fakeEngine{api: "1.41", inspect: map[string]any{"app:1": f.inspected(t, sum(f.config))}}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			t.Error("no client certificate came")
		}
		e.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = quiet()
	srv.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	own := clientCertificate(t, srv.Certificate())
	// A certificate authority that did not sign the server's.
	other := clientCertificate(t, srv.Certificate())
	cert, err := os.ReadFile(filepath.Join(other, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "ca.pem"), cert, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		engine Engine
		want   string
	}{
		"trusted":        {Engine{CertPath: own, TLSVerify: true}, ""},
		"not trusted":    {Engine{CertPath: other, TLSVerify: true}, "signed by an unknown authority"},
		"not verified":   {Engine{CertPath: other}, ""},
		"no certificate": {Engine{CertPath: t.TempDir()}, "check cert.pem and key.pem"},
		"system's own":   {Engine{TLSVerify: true}, "signed by an unknown authority"},
	} {
		tc.engine.Host = "tcp://" + u.Host
		img, err := New(Config{Engine: tc.engine}).Open(t.Context(), "docker-daemon:app:1")
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if img != nil {
			img.Close()
		}
	}
}

func TestRegistryOfAnUnknownAuthority(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	// Not by a loopback address: there plain http would be tried too.
	base := srv.Client().Transport.(*http.Transport).Clone()
	base.TLSClientConfig.RootCAs = x509.NewCertPool()
	base.DialContext = nil
	_, err := New(Config{Transport: toServer{base, srv.Listener.Addr().String()}}).Open(t.Context(), "reg.example/app:1")
	if err == nil || !strings.Contains(err.Error(), "reading from reg.example: its certificate is signed by an unknown authority") {
		t.Error(err)
	}
	_, err = New(Config{Transport: toServer{srv.Client().Transport, srv.Listener.Addr().String()}}).Open(t.Context(), "reg.example/app:1")
	if err == nil || !strings.Contains(err.Error(), "does not answer as a registry does (404)") {
		t.Error(err)
	}
}

// toServer sends every request to one address.
type toServer struct {
	base http.RoundTripper
	addr string
}

func (t toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = t.addr
	return t.base.RoundTrip(r)
}

// TestTokenRequestIsSentAgain has a token server that fails once: the second
// request must carry the same body.
func TestTokenRequestIsSentAgain(t *testing.T) {
	t.Parallel()
	f := mixedFixture(t)
	host, _ := gated(t, func(w http.ResponseWriter, r *http.Request, n int) bool {
		if r.URL.Path == "/token" {
			if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.PostForm.Get("refresh_token") != "identity" {
				t.Errorf("%s with %v, %v", r.Method, r.PostForm, err)
			}
			if n == 1 {
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			_, _ = w.Write([]byte(`{"access_token":"tok"}`))
			return true
		}
		return bearer(w, r, "", "", "tok")
	})
	f.push(t, host, "app", "1")
	if _, err := New(Config{Wait: new(noWait).wait, Keychain: identity{}}).Open(t.Context(), host+"/app:1"); err != nil {
		t.Error(err)
	}
}

type identity struct{}

func (identity) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{IdentityToken: "identity"}), nil
}
