package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// explainStatus words an answer that is not 200 by its status and by the error
// codes that the distribution specification defines.
func (r *registryImage) explainStatus(repo name.Repository, e *transport.Error) error {
	host := repo.RegistryStr()
	hint := ""
	if r.ref.bare {
		hint = fmt.Sprintf("; an image in a local engine is written docker-daemon:%s", r.ref.name)
	}
	codes := statusCodes(e)
	switch e.StatusCode {
	case http.StatusNotFound:
		if e.Request != nil && e.Request.URL.Path == "/v2/" {
			return &explained{msg: fmt.Sprintf("%s does not answer as a registry does (%s); check the registry's address", host, codes)}
		}
		if e.Request != nil && strings.Contains(e.Request.URL.Path, "/blobs/") {
			return &explained{msg: fmt.Sprintf("%s does not hold a blob of %s (%s); push the image again", host, r.ref.name, codes)}
		}
		return &explained{msg: fmt.Sprintf("%s has no image %s (%s); check its name and tag%s", host, r.ref.name, codes, hint), is: ErrNotFound}
	case http.StatusUnauthorized, http.StatusForbidden:
		return &explained{msg: fmt.Sprintf("%s does not let %s be read (%s), or there is no such image; run docker login %s, or pass a user name and password that may pull it%s", host, r.ref.name, codes, host, hint)}
	case http.StatusTooManyRequests:
		return &explained{msg: fmt.Sprintf("%s limits how much may be pulled (%s); log in, or try again later", host, codes)}
	}
	return &explained{msg: fmt.Sprintf("%s answered %s for %s; try again later, or check the registry", host, codes, r.ref.name)}
}

// statusCodes prints a status and the known error codes that came with it. An
// unknown code is text of the server's.
func statusCodes(e *transport.Error) string {
	known := map[transport.ErrorCode]bool{
		transport.BlobUnknownErrorCode: true, transport.DeniedErrorCode: true, transport.DigestInvalidErrorCode: true,
		transport.ManifestBlobUnknownErrorCode: true, transport.ManifestInvalidErrorCode: true,
		transport.ManifestUnknownErrorCode: true, transport.NameInvalidErrorCode: true, transport.NameUnknownErrorCode: true,
		transport.TagInvalidErrorCode: true, transport.TooManyRequestsErrorCode: true, transport.UnauthorizedErrorCode: true,
		transport.UnavailableErrorCode: true, transport.UnsupportedErrorCode: true,
	}
	seen := map[string]bool{}
	for _, d := range e.Errors {
		if known[d.Code] {
			seen[string(d.Code)] = true
		}
	}
	words := make([]string, 0, len(seen))
	for c := range seen {
		words = append(words, c)
	}
	sort.Strings(words)
	return strings.Join(append([]string{fmt.Sprint(e.StatusCode)}, words...), " ")
}

// tlsCause names what is wrong with a certificate; "" when nothing is.
func tlsCause(err error) string {
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "its certificate is signed by an unknown authority"
	case errors.As(err, &hostname):
		return "its certificate is for another host"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS"
	}
	return ""
}
