/* A library with a variable of 400 bytes in the static block of threads. */
static __thread __attribute__((tls_model("initial-exec"))) char variable[400];

char *variable_of_thread(void) { return variable; }
