// A net/http file server over TLS, to be measured beside specman: the folder,
// the certificate, its key, and the port on 127.0.0.1.
package main

import (
	"log"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: fileserver DIR CERT KEY PORT")
	}
	server := &http.Server{
		Addr:    "127.0.0.1:" + os.Args[4],
		Handler: http.FileServer(http.Dir(os.Args[1])),
	}
	log.Fatal(server.ListenAndServeTLS(os.Args[2], os.Args[3]))
}
