// What Go's net/http makes of the server: run by clients_test.py with the
// server's address and the file of its CA; prints a line a finding.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
)

var client *http.Client

// do sends a request; reused says whether its connection was one before.
func do(method, url string, header map[string]string) (*http.Response, []byte, bool) {
	reused := false
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		panic(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	answer, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(err)
	}
	return answer, body, reused
}

func show(what string, answer *http.Response, body []byte, reused bool) {
	fmt.Printf("%s %d %d %x uncompressed=%t reused=%t path=%s\n", what, answer.StatusCode, len(body),
		sha256.Sum256(body), answer.Uncompressed, reused, answer.Request.URL.Path)
}

func main() {
	base, pem := os.Args[1], os.Args[2]
	roots := x509.NewCertPool()
	text, err := os.ReadFile(pem)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		panic("no CA")
	}
	client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, body, reused := do("GET", base+"/text.yaml", nil)
	show("first", answer, body, reused)
	answer, body, reused = do("GET", base+"/text.yaml", nil)
	show("again", answer, body, reused)
	etag := answer.Header.Get("ETag")
	modified := answer.Header.Get("Last-Modified")
	answer, body, reused = do("GET", base+"/text.yaml", map[string]string{"If-None-Match": etag})
	show("same-tag", answer, body, reused)
	answer, body, reused = do("GET", base+"/text.yaml", map[string]string{"If-Modified-Since": modified})
	show("same-date", answer, body, reused)
	answer, body, reused = do("GET", base+"/text.yaml", map[string]string{"Accept-Encoding": "identity"})
	show("identity", answer, body, reused)
	answer, body, reused = do("GET", base+"/big.bin", nil)
	show("big", answer, body, reused)
	answer, body, reused = do("GET", base+"/big.bin", map[string]string{"Range": "bytes=1000-1999"})
	show("range", answer, body, reused)
	answer, body, reused = do("HEAD", base+"/big.bin", nil)
	fmt.Printf("head %d %d %d\n", answer.StatusCode, answer.ContentLength, len(body))
	answer, body, reused = do("GET", base+"/dir?x=y", nil)
	show("folder", answer, body, reused)
	answer, body, reused = do("GET", base+"/none", nil)
	show("none", answer, body, reused)
}
