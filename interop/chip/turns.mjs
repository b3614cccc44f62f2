// connectedhomeip serves one CASE handshake at a time, so who wants one takes turns.
export class Turns {
    #last = Promise.resolve();

    /** Waits for those who came before; returns the function that lets the next one in. */
    async take() {
        const before = this.#last;
        let release;
        this.#last = new Promise(resolve => (release = resolve));
        await before;
        return release;
    }
}
