extension MapPage {
    /// Draws curves, map and moment from `D`. Cells are unpacked once; every picture is drawn again when something changes.
    static let script = #"""
        (()=>{"use strict";
        const $=id=>document.getElementById(id), N=D.event.length, C=D.cellCount, cells=new Uint8Array(N*C*2);
        { // Runs of cells: length, content, shares; content 255 means "as in the column before".
          const bytes=Uint8Array.from(atob(D.cells),c=>c.charCodeAt(0)); let at=0;
          for(let col=0;col<N;col++) for(let cell=0;cell<C;){
            const run=bytes[at++], content=bytes[at++], shares=content===255?0:bytes[at++];
            for(let end=cell+run;cell<end;cell++){ const to=(col*C+cell)*2;
              cells[to]=content===255?cells[to-2*C]:content; cells[to+1]=content===255?cells[to+1-2*C]:shares; } } }
        const groups=[["8–16 bytes","#6f4fb5"],["17–32","#3d6fd6"],["33–64","#1f9fc9"],["65–128","#23b08a"],["129–256","#7cbf3f"],
          ["257–512","#e0c22e"],["513–4096","#f08c2e"],["to 64 KiB","#dd4b4b"],["larger","#a3358c"],["the heap's own tables","#8a94a0"],
          ["hole, still resident","--hole"],["free, given back to the kernel","--given"],["usable, not used yet","--none"],["only reserved","--back"]];
        const groupOf=c=>c<64?[0,0,1,1,2,2,2,2,3,3,3,3,3,3,3,3][c]??(c<32?4:5):c-58;
        const nameOf=c=>c<64?`blocks of ${(c+1)*8} bytes`:c<67?["blocks of 513 to 4096 bytes","blocks of 4 to 64 KiB","blocks above 64 KiB"][c-64]:groups[groupOf(c)][0];
        const css=n=>getComputedStyle(document.documentElement).getPropertyValue(n).trim();
        const rgb=h=>[1,3,5].map(i=>parseInt(h.length<5?h[(i+1)/2]+h[(i+1)/2]:h.slice(i,i+2),16));
        const mix=(a,b,t)=>a.map((v,i)=>v+(b[i]-v)*t), text=c=>`rgb(${c.map(Math.round)})`;
        const MB=b=>(b/1e6).toLocaleString("en",{minimumFractionDigits:1,maximumFractionDigits:1})+" MB", int=n=>n.toLocaleString("en");
        let colors=[], hole=[], given=[], only=-1, chosen=0, hovered=-1;
        const L=64, R=14, B=34, T=8; // margins, the same in both pictures, so that their times stand above each other
        for(let i=1;i<N;i++) if(D.live[i]>D.live[chosen]) chosen=i;
        function readColors(){ colors=groups.map(g=>rgb(g[1][0]==="-"?css(g[1]):g[1])); hole=colors[10]; given=colors[11]; }
        function cellColor(at){ const g=groupOf(cells[at]), s=cells[at+1], live=(s&15)/15, resident=(s>>4)/15;
          let c=colors[g];
          if(g<10) c=mix(mix(given,hole,live<1?Math.max(0,Math.min(1,(resident-live)/(1-live))):0),c,Math.min(1,live*1.02));
          else if(g<12) c=mix(given,hole,resident);
          return only>=0&&g!==only?mix(c,colors[13],.86):c; }
        function setUp(canvas,height){ const ratio=window.devicePixelRatio||1, width=canvas.clientWidth;
          canvas.width=width*ratio; canvas.height=height*ratio; canvas.style.height=height+"px";
          const g=canvas.getContext("2d"); g.setTransform(ratio,0,0,ratio,0,0); g.clearRect(0,0,width,height); return {g,width,height}; }
        const step=(most,count)=>{ const raw=most/count, p=10**Math.floor(Math.log10(raw)); return [1,2,5,10].find(m=>m*p>=raw)*p; };
        const topBytes=D.cellBytes*C, X=(i,w)=>L+(w-L-R)*i/(N-1);
        function axes(g,w,h,most,labelX){ const s=step(most/1e6,5)*1e6; g.font="12px system-ui,sans-serif"; g.fillStyle=css("--soft");
          g.strokeStyle=css("--line"); g.lineWidth=1; g.textAlign="right"; g.textBaseline="middle";
          for(let b=0;b<=most*1.001;b+=s){ const y=h-B-(h-B-T)*b/most; g.beginPath(); g.moveTo(L-4,y); g.lineTo(most===topBytes?L:w-R,y); g.stroke();
            g.fillText(b===0?"0 MB":(+(b/1e6).toFixed(2))+"",L-8,y); }
          const last=D.event[N-1], e=step(last||1,6); g.textAlign="center"; g.textBaseline="top";
          for(let v=0;v<=last;v+=e){ const x=L+(w-L-R)*v/(last||1); g.beginPath(); g.moveTo(x,h-B); g.lineTo(x,h-B+4); g.stroke();
            g.fillText(v>=1e6?(+(v/1e6).toFixed(2))+" M":v>=1e3?v/1e3+" k":v,x,h-B+6); }
          g.textAlign="right"; g.fillText(labelX,w-R,h-13); }
        function marker(g,w,h,i,dashed){ g.strokeStyle=css("--text"); g.lineWidth=dashed?1:1.5; g.setLineDash(dashed?[3,3]:[]);
          g.beginPath(); g.moveTo(X(i,w),T); g.lineTo(X(i,w),h-B); g.stroke(); g.setLineDash([]); }
        // A capacity far above all that is used would leave nothing to see.
        const used=D.committed.reduce((a,b)=>Math.max(a,b),1), isNear=D.capacity<1.5*used, highest=isNear?D.capacity:used*1.1;
        const lines=[[isNear?"capacity":`capacity (${MB(D.capacity)}, far above the picture)`,()=>D.capacity,"--soft",[6,4]],["committed: usable now",i=>D.committed[i],"--committed",[]],
          ["resident: in the machine's memory",i=>D.resident[i],"--resident",[]],["asked for: live bytes",i=>D.live[i],"--live",[]]];
        function drawCurves(){ const {g,width:w,height:h}=setUp($("curves"),230), most=highest*1.06, Y=b=>h-B-(h-B-T)*b/most;
          axes(g,w,h,most,"events");
          for(const [,value,color,dash] of lines){ if(value(0)>most) continue; g.beginPath(); for(let i=0;i<N;i++) g.lineTo(X(i,w),Y(value(i)));
            g.strokeStyle=css(color); g.lineWidth=dash.length?1.5:color==="--committed"?6:2; g.globalAlpha=color==="--committed"?.45:1;
            g.setLineDash(dash); g.stroke(); g.setLineDash([]); g.globalAlpha=1;
            if(color==="--live"){ g.lineTo(X(N-1,w),Y(0)); g.lineTo(X(0,w),Y(0)); g.globalAlpha=.16; g.fillStyle=css(color); g.fill(); g.globalAlpha=1; } }
          marker(g,w,h,chosen,false); if(hovered>=0) marker(g,w,h,hovered,true); }
        let image=null;
        function paintMap(){ const rows=Math.min(C,440*(window.devicePixelRatio||1)|0); image=document.createElement("canvas");
          image.width=N; image.height=rows; const g=image.getContext("2d"), d=g.createImageData(N,rows);
          for(let col=0;col<N;col++) for(let row=0;row<rows;row++){ const from=Math.floor(row*C/rows), to=Math.max(from+1,Math.floor((row+1)*C/rows));
            let r=0,gr=0,b=0; for(let cell=from;cell<to;cell++){ const c=cellColor((col*C+cell)*2); r+=c[0]; gr+=c[1]; b+=c[2]; }
            const at=((rows-1-row)*N+col)*4, n=to-from; d.data[at]=r/n; d.data[at+1]=gr/n; d.data[at+2]=b/n; d.data[at+3]=255; }
          g.putImageData(d,0,0); }
        function drawMap(){ const {g,width:w,height:h}=setUp($("map"),440); axes(g,w,h,topBytes,"events");
          g.imageSmoothingEnabled=false; g.drawImage(image,L,T,w-L-R,h-B-T); g.strokeStyle=css("--line"); g.strokeRect(L,T,w-L-R,h-B-T);
          marker(g,w,h,chosen,false); if(hovered>=0) marker(g,w,h,hovered,true); }
        const across=64, gridSide=()=>$("grid").clientWidth/across;
        function drawGrid(){ const side=Math.min(gridSide(),19), rows=Math.ceil(C/across), height=Math.ceil(rows*side)+2, {g}=setUp($("grid"),height);
          for(let cell=0;cell<C;cell++){ g.fillStyle=text(cellColor((chosen*C+cell)*2)); const x=cell%across*side, y=Math.floor(cell/across)*side;
            g.fillRect(x,y,side-1,side-1); if(groupOf(cells[(chosen*C+cell)*2])>=12){ g.strokeStyle=css("--line"); g.strokeRect(x+.5,y+.5,side-2,side-2); } }
          const i=chosen; $("time").value=i;
          $("moment").innerHTML=`At event <b>${int(D.event[i])}</b>: asked for <b>${MB(D.live[i])}</b>, resident <b>${MB(D.resident[i])}</b>, `+
            `usable <b>${MB(D.committed[i])}</b>; holes between and inside blocks' spans <b>${MB(D.holes[i])}</b>.`; }
        function draw(){ drawCurves(); drawMap(); drawGrid(); }
        function choose(i){ chosen=Math.max(0,Math.min(N-1,i)); draw(); }
        const indexAt=(canvas,e)=>{ const r=canvas.getBoundingClientRect(); return Math.max(0,Math.min(N-1,Math.round((e.clientX-r.left-L)/(r.width-L-R)*(N-1)))); };
        function tip(e,lines){ const t=$("tip"); t.innerHTML=lines.join("<br>"); t.style.display="block";
          t.style.left=Math.min(e.clientX+14,innerWidth-t.offsetWidth-8)+"px"; t.style.top=(e.clientY+18+t.offsetHeight>innerHeight?e.clientY-t.offsetHeight-10:e.clientY+18)+"px"; }
        function cellLines(col,cell){ const at=(col*C+cell)*2, c=cells[at], g=groupOf(c), s=cells[at+1], per=n=>Math.round(n/15*100)+" %";
          const where=`${(cell*D.cellBytes/1e6).toFixed(2)}–${((cell+1)*D.cellBytes/1e6).toFixed(2)} MB from the heap's base`;
          const what=g<9?`mostly ${nameOf(c)}`:nameOf(c), shares=g<10?`${per(s&15)} in use, ${per(s>>4)} resident`:g<12?`${per(s>>4)} resident`:"";
          return [`<b>${what}</b>`,shares,where,`event ${int(D.event[col])}`].filter(x=>x); }
        for(const id of ["curves","map"]){ const canvas=$(id);
          canvas.addEventListener("mousemove",e=>{ const i=hovered=indexAt(canvas,e), r=canvas.getBoundingClientRect();
            if(id==="map"){ const y=(r.height-B-(e.clientY-r.top))/(r.height-B-T), cell=Math.floor(y*C);
              if(cell>=0&&cell<C) tip(e,cellLines(i,cell)); else $("tip").style.display="none"; }
            else tip(e,[`<b>event ${int(D.event[i])}</b>`,`asked for ${MB(D.live[i])}`,`resident ${MB(D.resident[i])}`,`committed ${MB(D.committed[i])}`,`capacity ${MB(D.capacity)}`]);
            drawCurves(); drawMap(); });
          canvas.addEventListener("mouseleave",()=>{ hovered=-1; $("tip").style.display="none"; draw(); });
          canvas.addEventListener("click",e=>choose(indexAt(canvas,e)));
          canvas.addEventListener("keydown",e=>{ const d={ArrowLeft:-1,ArrowRight:1}[e.key]; if(d){ choose(chosen+d); e.preventDefault(); } }); }
        $("grid").addEventListener("mousemove",e=>{ const r=$("grid").getBoundingClientRect(), side=Math.min(gridSide(),19);
          const x=Math.floor((e.clientX-r.left)/side), cell=Math.floor((e.clientY-r.top)/side)*across+x;
          if(x>=0&&x<across&&cell>=0&&cell<C) tip(e,cellLines(chosen,cell)); else $("tip").style.display="none"; });
        $("grid").addEventListener("mouseleave",()=>$("tip").style.display="none");
        $("time").max=N-1; $("time").addEventListener("input",e=>choose(+e.target.value));
        let timer=0; $("play").addEventListener("click",()=>{ if(timer){ clearInterval(timer); timer=0; } else { if(chosen>=N-1) chosen=0;
          timer=setInterval(()=>{ if(chosen>=N-1){ clearInterval(timer); timer=0; $("play").textContent="Play"; } else choose(chosen+1); },60); }
          $("play").textContent=timer?"Stop":"Play"; });
        function legend(){ $("legend").innerHTML=""; $("lines").innerHTML="";
          groups.forEach(([name],g)=>{ const s=document.createElement("span"), i=document.createElement("i"); i.style.background=text(colors[g]);
            s.append(i,g===0?"blocks of "+name:name); s.onmouseenter=()=>{ only=g; paintMap(); draw(); mark(); }; s.onmouseleave=()=>{ only=-1; paintMap(); draw(); mark(); };
            $("legend").append(s); });
          for(const [name,,color,dash] of lines){ const s=document.createElement("span"), i=document.createElement("i");
            i.className="stroke"+(dash.length?" dashed":""); i.style.borderTopColor=css(color); s.append(i,name); $("lines").append(s); } }
        const mark=()=>[...$("legend").children].forEach((s,g)=>s.classList.toggle("off",only>=0&&g!==only));
        function all(){ readColors(); legend(); paintMap(); draw(); }
        $("theme").addEventListener("click",()=>{ const now=document.documentElement.dataset.theme||(matchMedia("(prefers-color-scheme:dark)").matches?"dark":"light");
          document.documentElement.dataset.theme=now==="dark"?"light":"dark"; all(); });
        if(location.hash==="#dark"||location.hash==="#light") document.documentElement.dataset.theme=location.hash.slice(1);
        matchMedia("(prefers-color-scheme:dark)").addEventListener("change",all); addEventListener("resize",()=>{ paintMap(); draw(); }); all();
        })();
        """#
}
